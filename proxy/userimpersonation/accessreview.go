package userimpersonation

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/proxy/kubereview"
)

type accessReviewer struct{ client *kubereview.Client }

// NewAccessReviewer returns an AccessReviewer with the credentials of a client-go configuration.
func NewAccessReviewer(cfg *rest.Config) (AccessReviewer, error) {
	client, err := kubereview.New(cfg)
	return &accessReviewer{client}, err
}

// ReviewAccess implements AccessReviewer.
func (a *accessReviewer) ReviewAccess(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
	question := authorizationv1.SubjectAccessReview{
		TypeMeta: metav1.TypeMeta{Kind: "SubjectAccessReview", APIVersion: authorizationv1.SchemeGroupVersion.String()}, Spec: spec,
	}
	var answer authorizationv1.SubjectAccessReview
	err := a.client.Create(ctx, "/apis/authorization.k8s.io/v1/subjectaccessreviews", question, &answer)
	return answer.Status, err
}
