"""What a target keeps in its workspace: releases, state, and the ledger of events."""
