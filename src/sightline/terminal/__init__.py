"""What every verb needs: tables and progress, options, configuration files, folders of results. It knows no verb."""
