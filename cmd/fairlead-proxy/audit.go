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
type account struct {
	log    *audit.Log
	events *kubeaudit.Log // nil without a sink
	// recorder records shells; nil records none.
	recorder *recorder.Recorder
	run      []func(ctx context.Context) error
	close    []io.Closer
	lost     *prometheus.CounterVec
}

// newAccount opens the sinks of the configuration.
func (a *app) newAccount(ctx context.Context) (*account, error) {
	acc := &account{lost: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_proxy_audit_events_lost_total", Help: "Audit events that are gone for good, by where they should have gone.",
	}, []string{"sink"})}
	a.registry.MustRegister(acc.lost)
	sinks := []audit.Sink{audit.NewStream(a.logger)}
	if choice := a.cfg.Audit.Server; a.feed != nil && choice != auditNothing {
		reporter := a.feed.Report(choice == auditAll, a.losing(acc, "server"))
		sinks, acc.run = append(sinks, reporter), append(acc.run, reporter.Run)
	}
	acc.log = audit.NewLog(time.Now, a.logger, sinks...)
	a.openRecorder(ctx, acc)
	return acc, a.openEvents(acc)
}

// losing counts and logs what is gone for good.
func (a *app) losing(acc *account, sink string) func(events int, why error) {
	counter := acc.lost.WithLabelValues(sink)
	return func(n int, why error) {
		counter.Add(float64(n))
		if errors.Is(why, feed.ErrTooOften) {
			return // the log has them
		}
		if why == nil {
			why = errors.New("too many were waiting")
		}
		a.logger.Error("audit events lost", "sink", sink, "events", n, "error", why)
	}
}

// openEvents opens where events of audit.k8s.io go.
func (a *app) openEvents(acc *account) error {
	cfg := a.cfg.Audit
	if cfg.File.Path == "" && cfg.Webhook == "" {
		return nil
	}
	log := &kubeaudit.Log{
		Policy: cfg.policy, Strict: cfg.OnFailure == onRefuse, Commands: cfg.Commands, Now: time.Now,
		Failed: func(ctx context.Context, err error) {
			a.logger.ErrorContext(ctx, "audit event not written yet", "error", err)
		},
	}
	if f := cfg.File; f.Path != "" {
		file := kubeaudit.NewFile(f.Path, kubeaudit.Rotation{MaxMegabytes: f.MaxMegabytes, MaxFiles: f.MaxFiles, MaxDays: f.MaxDays, Compress: f.Compress}, a.losing(acc, "file"))
		log.Sinks, acc.close = append(log.Sinks, file), append(acc.close, file)
	}
	if cfg.Webhook != "" {
		hook, err := kubeaudit.NewWebhook(cfg.Webhook, a.losing(acc, "webhook"))
		if err != nil {
			return err
		}
		log.Sinks, acc.run = append(log.Sinks, hook), append(acc.run, hook.Run)
	}
	acc.events = log
	return nil
}

// during lets what is written down go out while serve runs, and what is left afterwards.
func (acc *account) during(ctx context.Context, serve func() error) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	for _, run := range acc.run {
		group.Go(func() error { return run(ctx) })
	}
	err := serve()
	cancel()
	err = errors.Join(err, group.Wait())
	for _, c := range acc.close {
		err = errors.Join(err, c.Close())
	}
	return err
}

// sweepEvery is how often recordings that are too old are removed.
const sweepEvery = time.Hour

// openRecorder makes what records shells, where that is wanted.
func (a *app) openRecorder(ctx context.Context, acc *account) {
	cfg := a.cfg.Recording
	if cfg.Dir == "" {
		return
	}
	failures := prometheus.NewCounter(prometheus.CounterOpts{Name: "fairlead_proxy_recordings_failed_total", Help: "Recordings that are not complete, or were not made."})
	a.registry.MustRegister(failures)
	acc.recorder = &recorder.Recorder{
		Dir: cfg.Dir, Key: a.identity.Key, KeyID: a.identity.ID, Stdin: cfg.Stdin, Strict: cfg.OnFailure == onRefuse, MaxBytes: int64(cfg.MaxMegabytes) << 20, Now: time.Now,
		Failed: func(id string, err error) {
			failures.Inc()
			a.logger.ErrorContext(ctx, "recording failed", "recording", id, "error", err)
		},
	}
	if cfg.Upload {
		courier := &recorder.Courier{Dir: cfg.Dir, Send: a.feed.HandIn, Logger: a.logger}
		courier.Release(ctx)
		acc.run = append(acc.run, courier.Run)
	}
	if cfg.MaxDays == 0 {
		return
	}
	const day = 24 * time.Hour
	acc.run = append(acc.run, func(ctx context.Context) error {
		for ctx.Err() == nil {
			if err := acc.recorder.Sweep(time.Duration(cfg.MaxDays) * day); err != nil {
				a.logger.ErrorContext(ctx, "old recordings not removed", "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(sweepEvery):
			}
		}
		return nil
	})
}
