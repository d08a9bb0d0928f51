"""The data types that all rooms share: window, response, batch, table, feed, receipt. No I/O."""
