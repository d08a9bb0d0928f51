"""HTTP as every vendor needs it: sessions with timeouts, retries and redaction, and the rate limiter of limits."""
