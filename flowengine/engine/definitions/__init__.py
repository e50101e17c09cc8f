"""What is done with definitions: applied, shown, deleted, started."""
