"""Cases, readers, feedback, jobs and events: one database beside the folder of cases."""
