package actas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// errMayNotAsk says that the proxy itself lacks the right to ask.
var errMayNotAsk = errors.New("the proxy may not create subjectaccessreviews")

// asker asks over plain HTTP: client-go's typed client would bring every API group.
type asker struct {
	client  *http.Client
	address string
}

// NewAsker asks with the credentials of a client-go configuration.
func NewAsker(cfg *rest.Config) (Asker, error) {
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("making client for reviews: %w", err)
	}
	target, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("reading API server address: %w", err)
	}
	return &asker{client: client, address: target.JoinPath("/apis/authorization.k8s.io/v1/subjectaccessreviews").String()}, nil
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 1 << 20

// Ask implements Asker.
func (a *asker) Ask(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
	var review authorizationv1.SubjectAccessReview
	review.TypeMeta = metav1.TypeMeta{Kind: "SubjectAccessReview", APIVersion: authorizationv1.SchemeGroupVersion.String()}
	review.Spec = spec
	body, err := json.Marshal(review)
	if err != nil {
		return review.Status, fmt.Errorf("encoding review: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.address, bytes.NewReader(body))
	if err != nil {
		return review.Status, fmt.Errorf("making request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return review.Status, err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return review.Status, fmt.Errorf("reading review: %w", err)
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated:
		review.Status = authorizationv1.SubjectAccessReviewStatus{} // an answer without one is a no
		err := json.Unmarshal(text, &review)
		return review.Status, err
	case http.StatusForbidden:
		return review.Status, errMayNotAsk
	}
	return review.Status, fmt.Errorf("the API server answered %s", res.Status)
}
