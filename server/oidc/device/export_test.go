package device

// HashUserCode and NewUserCode are what tests look at.
var (
	HashUserCode = hashUserCode
	NewUserCode  = newUserCode
)
