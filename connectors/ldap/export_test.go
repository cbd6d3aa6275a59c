package ldap

// The tests call these directly.
var (
	CheckAccount    = checkAccount
	GeneralizedTime = generalizedTime
	BindError       = bindError
	PrintableID     = printableID
	MemberOf        = memberOf
)
