package tokeninfo

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Bearer authenticates requests by access token.
type Bearer struct {
	Store *store.Store
	Now   func() time.Time
}

// Authenticate returns the token and the user of the Authorization header. It ignores tokens in the query, because
// they end up in logs. A refusal is an *oauth.Error with the code invalid_token.
func (b *Bearer) Authenticate(r *http.Request) (*store.AccessToken, *store.User, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return nil, nil, oauth.Errorf(oauth.InvalidToken, "The request must have exactly one access token. Send it as Authorization: Bearer.")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, nil, oauth.Errorf(oauth.InvalidToken, "The request must have exactly one access token. Send it as Authorization: Bearer.")
	}
	return b.validate(r, token)
}

func (b *Bearer) validate(r *http.Request, token string) (*store.AccessToken, *store.User, error) {
	dead := oauth.Errorf(oauth.InvalidToken, "The access token is not valid, has expired or was revoked. Get a new one.")
	row, user, err := b.Store.AccessTokenWithUser(r.Context(), token)
	if errs.Is(err, errs.NotFound) {
		return nil, nil, dead
	}
	if err != nil {
		return nil, nil, err
	}
	if !row.Active(b.Now()) || !slices.Contains(row.Scopes, oauth.ScopeOpenID) || user.Blocked() {
		return nil, nil, dead
	}
	return row, user, nil
}
