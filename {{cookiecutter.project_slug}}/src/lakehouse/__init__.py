"""What runs on the lakehouse: one folder a domain, one engine below them all."""
