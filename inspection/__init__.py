"""Reading the logs as a whole: slices, rows, histories. It writes nothing, and needs no worker."""
