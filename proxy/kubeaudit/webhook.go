package kubeaudit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-auth/fairlead/internal/batch"
)

// Webhook is a sink that posts lists of events, like kube-apiserver's audit webhook.
type Webhook struct {
	address string
	client  *http.Client
	queue   *batch.Queue[auditv1.Event]
}

var _ Sink = (*Webhook)(nil)

// The limits are kube-apiserver's defaults (--audit-webhook-*), except for the delay.
const (
	webhookQueueSize   = 10_000
	webhookBatchSize   = 400
	webhookMaxDelay    = 5 * time.Second
	webhookMaxAttempts = 5
	webhookRetryDelay  = time.Second
	webhookTimeout     = 30 * time.Second
	// flushTimeout bounds the delivery of the remaining events when the proxy stops.
	flushTimeout = 10 * time.Second
)

// NewWebhook returns a webhook with the address and the credentials in a kubeconfig file. It calls
// onDrop with the number of events that could not be delivered.
func NewWebhook(kubeconfig string, onDrop func(events int, cause error)) (*Webhook, error) {
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading audit.webhook: %w", err)
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("reading audit.webhook: %w", err)
	}
	client.Timeout = webhookTimeout
	w := &Webhook{address: cfg.Host, client: client}
	w.queue = batch.New(batch.Config[auditv1.Event]{
		QueueSize: webhookQueueSize, BatchSize: webhookBatchSize, MaxDelay: webhookMaxDelay, MaxAttempts: webhookMaxAttempts, RetryDelay: webhookRetryDelay, FlushTimeout: flushTimeout, Send: w.post, OnDrop: onDrop,
	})
	return w, nil
}

// Ready never fails, because events are sent in the background.
func (w *Webhook) Ready() error { return nil }

// WriteEvent adds e to the queue.
func (w *Webhook) WriteEvent(e *auditv1.Event) error {
	w.queue.Add(*e)
	return nil
}

// Run sends events until ctx ends, and then the remaining ones.
func (w *Webhook) Run(ctx context.Context) error { return w.queue.Run(ctx) }

func (w *Webhook) post(ctx context.Context, events []auditv1.Event) error {
	list := auditv1.EventList{TypeMeta: metav1.TypeMeta{Kind: "EventList", APIVersion: auditv1.SchemeGroupVersion.String()}, Items: events}
	text, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encoding audit events: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("sending audit events: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := w.client.Do(req)
	if err != nil {
		return fmt.Errorf("sending audit events: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxBodyBytes)) // allows the connection to be reused
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("sending audit events: the webhook answered %s", res.Status)
	}
	return nil
}
