"""Events in video with sound: where the cue is seen and when the sound is, by space-time attention (after STAN)."""
