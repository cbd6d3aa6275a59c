package password

// Dummy returns the hash that Check uses for an unknown user.
func Dummy(h *Hasher) string { return h.dummy }
