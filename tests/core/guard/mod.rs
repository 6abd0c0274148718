mod pii;
