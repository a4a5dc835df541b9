"""Where gates belong: a supernet in which any scheme can be tried, and searchers that seek the best one."""
