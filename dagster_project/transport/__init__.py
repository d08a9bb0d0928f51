"""HTTP for all vendors: sessions with timeouts, retries and redaction; rate limiter; quota."""
