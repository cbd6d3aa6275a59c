package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/proxy/feed"
	"github.com/fairlead-auth/fairlead/proxy/kubeaudit"
	"github.com/fairlead-auth/fairlead/proxy/recorder"
)

// auditing holds the audit logs and the session recorder of the proxy.
type auditing struct {
	log       *audit.Log
	kubeAudit *kubeaudit.Log     // nil if neither a file nor a webhook is configured
	recorder  *recorder.Recorder // nil if recording is off
	// background runs while the proxy serves, and sends the remaining events at its end.
	background []func(ctx context.Context) error
	closers    []io.Closer
	dropped    *prometheus.CounterVec
}

// newAuditing opens the sinks of the configuration.
func (a *app) newAuditing(ctx context.Context) (*auditing, error) {
	out := &auditing{dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_proxy_audit_events_dropped_total", Help: "Audit events that were not delivered and are lost, by sink.",
	}, []string{"sink"})}
	a.registry.MustRegister(out.dropped)
	sinks := []audit.Sink{audit.NewStream(a.logger)}
	if choice := a.cfg.Audit.SendToServer; a.feed != nil && choice != auditNone {
		reporter := a.feed.NewReporter(choice == auditAll, a.onDrop(out, "server"))
		sinks, out.background = append(sinks, reporter), append(out.background, reporter.Run)
	}
	out.log = audit.NewLog(time.Now, a.logger, sinks...)
	a.openRecorder(ctx, out)
	return out, a.openKubeAudit(out)
}

// onDrop returns a function that counts and logs events that a sink has lost.
func (a *app) onDrop(out *auditing, sink string) func(events int, cause error) {
	counter := out.dropped.WithLabelValues(sink)
	return func(n int, cause error) {
		counter.Add(float64(n))
		if errors.Is(cause, feed.ErrRateLimited) {
			return // the proxy's own log has these events
		}
		if cause == nil {
			cause = errors.New("the queue is full")
		}
		a.logger.Error("audit events dropped", "sink", sink, "events", n, "error", cause)
	}
}

// openKubeAudit opens the sinks for audit.k8s.io events.
func (a *app) openKubeAudit(out *auditing) error {
	cfg := a.cfg.Audit
	if cfg.File.Path == "" && cfg.Webhook == "" {
		return nil
	}
	log := &kubeaudit.Log{
		Policy: cfg.policy, RefuseOnFailure: cfg.OnFailure == failureRefuse, IncludeCommands: cfg.IncludeCommands, Now: time.Now,
		OnError: func(ctx context.Context, err error) {
			a.logger.ErrorContext(ctx, "audit event not written yet", "error", err)
		},
	}
	if f := cfg.File; f.Path != "" {
		file := kubeaudit.NewFile(f.Path, kubeaudit.Rotation{MaxMegabytes: f.MaxMegabytes, MaxFiles: f.MaxFiles, MaxDays: f.MaxDays, Compress: f.Compress}, a.onDrop(out, "file"))
		log.Sinks, out.closers = append(log.Sinks, file), append(out.closers, file)
	}
	if cfg.Webhook != "" {
		hook, err := kubeaudit.NewWebhook(cfg.Webhook, a.onDrop(out, "webhook"))
		if err != nil {
			return err
		}
		log.Sinks, out.background = append(log.Sinks, hook), append(out.background, hook.Run)
	}
	out.kubeAudit = log
	return nil
}

// runWhile runs the background senders while serve runs. When serve returns, it lets them send
// the remaining events and closes the sinks.
func (out *auditing) runWhile(ctx context.Context, serve func() error) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	for _, run := range out.background {
		group.Go(func() error { return run(ctx) })
	}
	err := serve()
	cancel()
	err = errors.Join(err, group.Wait())
	for _, c := range out.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// sweepInterval is the time between two removals of expired recordings.
const sweepInterval = time.Hour

// openRecorder creates the session recorder if recording is configured.
func (a *app) openRecorder(ctx context.Context, out *auditing) {
	cfg := a.cfg.Recording
	if cfg.Dir == "" {
		return
	}
	failures := prometheus.NewCounter(prometheus.CounterOpts{Name: "fairlead_proxy_recordings_failed_total", Help: "Recordings that could not be started or are incomplete."})
	a.registry.MustRegister(failures)
	out.recorder = &recorder.Recorder{
		Dir: cfg.Dir, Key: a.identity.Key, KeyID: a.identity.ID, RecordStdin: cfg.Stdin, Required: cfg.OnFailure == failureRefuse, MaxBytes: int64(cfg.MaxMegabytes) << 20, Now: time.Now,
		OnFailure: func(id string, err error) {
			failures.Inc()
			a.logger.ErrorContext(ctx, "recording failed", "recording", id, "error", err)
		},
	}
	if cfg.Upload {
		uploader := &recorder.Uploader{Dir: cfg.Dir, Upload: a.feed.UploadRecording, Logger: a.logger}
		uploader.RecoverUnfinished(ctx)
		out.background = append(out.background, uploader.Run)
	}
	if cfg.MaxDays == 0 {
		return
	}
	const day = 24 * time.Hour
	out.background = append(out.background, func(ctx context.Context) error {
		for ctx.Err() == nil {
			if err := out.recorder.RemoveExpired(time.Duration(cfg.MaxDays) * day); err != nil {
				a.logger.ErrorContext(ctx, "removing expired recordings", "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(sweepInterval):
			}
		}
		return nil
	})
}
