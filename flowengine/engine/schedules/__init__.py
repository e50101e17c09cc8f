"""What is done with schedules: their times start executions, operators steer them, and they are shown."""
