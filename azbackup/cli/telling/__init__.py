"""How whoever is not there hears of the end of a run: commands, monitors, files of metrics, systemd."""
