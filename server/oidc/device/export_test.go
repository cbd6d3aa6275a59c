package device

// HashUserCode and NewUserCode are exported for tests.
var (
	HashUserCode = hashUserCode
	NewUserCode  = newUserCode
)
