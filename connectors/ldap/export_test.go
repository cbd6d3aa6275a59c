package ldap

// CheckAccount is what tests look at.
var CheckAccount = checkAccount
