package password

// Dummy is the hash that stands for an unknown user.
func Dummy(h *Hasher) string { return h.dummy }
