"""What an adapter was measured to do, beside its base."""
