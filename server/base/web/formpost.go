package web

import "github.com/fairlead-auth/fairlead/templates"

// FormField is a hidden field of a form that the browser posts by itself.
type FormField struct{ Name, Value string }

// FormPostData is a form that the browser posts by itself: the authorization
// response in the form_post mode, or a SAML authentication request.
type FormPostData struct {
	Action string
	Fields []FormField
}

// FormPostPage is the page with the form. Without JavaScript it shows a button.
func FormPostPage() templates.Page[FormPostData] {
	return templates.Define[FormPostData]("login/formpost")
}
