package cache

import "errors"

// ErrShared says that a cache folder is somebody else's. It does not occur here: a person's
// cache folder is below their profile, which nobody else may write into.
var ErrShared = errors.New("the cache folder is not yours alone")

func own(string) error { return nil }
