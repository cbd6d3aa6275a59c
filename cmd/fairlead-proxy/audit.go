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

// account is where what happens is written down.
type auditing struct {
	log       *audit.Log
	kubeAudit *kubeaudit.Log // nil without a sink
	// recorder records shells; nil records none.
	recorder   *recorder.Recorder
	background []func(ctx context.Context) error
	closers    []io.Closer
	dropped    *prometheus.CounterVec
}

// newAccount opens the sinks of the configuration.
func (a *app) newAuditing(ctx context.Context) (*auditing, error) {
	acc := &auditing{dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_proxy_audit_events_lost_total", Help: "Audit events that are gone for good, by where they should have gone.",
	}, []string{"sink"})}
	a.registry.MustRegister(acc.dropped)
	sinks := []audit.Sink{audit.NewStream(a.logger)}
	if choice := a.cfg.Audit.Server; a.feed != nil && choice != auditNone {
		reporter := a.feed.NewReporter(choice == auditAll, a.onDrop(acc, "server"))
		sinks, acc.background = append(sinks, reporter), append(acc.background, reporter.Run)
	}
	acc.log = audit.NewLog(time.Now, a.logger, sinks...)
	a.openRecorder(ctx, acc)
	return acc, a.openKubeAudit(acc)
}

// losing counts and logs what is gone for good.
func (a *app) onDrop(acc *auditing, sink string) func(events int, why error) {
	counter := acc.dropped.WithLabelValues(sink)
	return func(n int, why error) {
		counter.Add(float64(n))
		if errors.Is(why, feed.ErrRateLimited) {
			return // the log has them
		}
		if why == nil {
			why = errors.New("too many were waiting")
		}
		a.logger.Error("audit events lost", "sink", sink, "events", n, "error", why)
	}
}

// openEvents opens where events of audit.k8s.io go.
func (a *app) openKubeAudit(acc *auditing) error {
	cfg := a.cfg.Audit
	if cfg.File.Path == "" && cfg.Webhook == "" {
		return nil
	}
	log := &kubeaudit.Log{
		Policy: cfg.policy, RefuseOnFailure: cfg.OnFailure == failureRefuse, IncludeCommands: cfg.Commands, Now: time.Now,
		OnError: func(ctx context.Context, err error) {
			a.logger.ErrorContext(ctx, "audit event not written yet", "error", err)
		},
	}
	if f := cfg.File; f.Path != "" {
		file := kubeaudit.NewFile(f.Path, kubeaudit.Rotation{MaxMegabytes: f.MaxMegabytes, MaxFiles: f.MaxFiles, MaxDays: f.MaxDays, Compress: f.Compress}, a.onDrop(acc, "file"))
		log.Sinks, acc.closers = append(log.Sinks, file), append(acc.closers, file)
	}
	if cfg.Webhook != "" {
		hook, err := kubeaudit.NewWebhook(cfg.Webhook, a.onDrop(acc, "webhook"))
		if err != nil {
			return err
		}
		log.Sinks, acc.background = append(log.Sinks, hook), append(acc.background, hook.Run)
	}
	acc.kubeAudit = log
	return nil
}

// during lets what is written down go out while serve runs, and what is left afterwards.
func (acc *auditing) runWhile(ctx context.Context, serve func() error) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	for _, run := range acc.background {
		group.Go(func() error { return run(ctx) })
	}
	err := serve()
	cancel()
	err = errors.Join(err, group.Wait())
	for _, c := range acc.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// sweepEvery is how often recordings that are too old are removed.
const sweepInterval = time.Hour

// openRecorder makes what records shells, where that is wanted.
func (a *app) openRecorder(ctx context.Context, acc *auditing) {
	cfg := a.cfg.Recording
	if cfg.Dir == "" {
		return
	}
	failures := prometheus.NewCounter(prometheus.CounterOpts{Name: "fairlead_proxy_recordings_failed_total", Help: "Recordings that are not complete, or were not made."})
	a.registry.MustRegister(failures)
	acc.recorder = &recorder.Recorder{
		Dir: cfg.Dir, Key: a.identity.Key, KeyID: a.identity.ID, RecordStdin: cfg.Stdin, Required: cfg.OnFailure == failureRefuse, MaxBytes: int64(cfg.MaxMegabytes) << 20, Now: time.Now,
		OnFailure: func(id string, err error) {
			failures.Inc()
			a.logger.ErrorContext(ctx, "recording failed", "recording", id, "error", err)
		},
	}
	if cfg.Upload {
		courier := &recorder.Uploader{Dir: cfg.Dir, Upload: a.feed.UploadRecording, Logger: a.logger}
		courier.RecoverUnfinished(ctx)
		acc.background = append(acc.background, courier.Run)
	}
	if cfg.MaxDays == 0 {
		return
	}
	const day = 24 * time.Hour
	acc.background = append(acc.background, func(ctx context.Context) error {
		for ctx.Err() == nil {
			if err := acc.recorder.RemoveExpired(time.Duration(cfg.MaxDays) * day); err != nil {
				a.logger.ErrorContext(ctx, "old recordings not removed", "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(sweepInterval):
			}
		}
		return nil
	})
}
