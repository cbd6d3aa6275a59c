package web

import "github.com/fairlead-auth/fairlead/templates"

// FormField is a hidden field of FormPostData.
type FormField struct{ Name, Value string }

// FormPostData is a form that the browser submits automatically: an authorization response in form_post mode, or a
// SAML authentication request.
type FormPostData struct {
	Action string
	Fields []FormField
}

// FormPostPage is the page with the form. Without JavaScript the user presses its button.
func FormPostPage() templates.Page[FormPostData] {
	return templates.Define[FormPostData]("login/formpost")
}
