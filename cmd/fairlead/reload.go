package main

import (
	"context"
	"crypto/sha256"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
)

// reloadEvery is the time between two checks of the file.
const reloadEvery = 2 * time.Second

// reloader applies the configuration file again when it changes, or on SIGHUP. A file with faults changes nothing. The
// reloader tries again until the file is applied, because the fault may pass: the database may be away.
type reloader struct {
	app   *app
	types map[string]connectors.Type
	audit *audit.Log
	// seen is the fingerprint of the last attempt, and fault says why it failed. It is empty if the file was applied.
	seen  [sha256.Size]byte
	fault string
}

func (r *reloader) run(ctx context.Context) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			r.fault = ""
			r.load(ctx)
		case <-ticker.C:
			r.look(ctx)
		}
	}
}

// look applies the file if it has changed, or was not applied yet.
func (r *reloader) look(ctx context.Context) {
	sum := fingerprint(r.app.cfg.file)
	if sum == r.seen && r.fault == "" {
		return
	}
	if sum != r.seen {
		r.seen, r.fault = sum, ""
	}
	r.load(ctx)
}

// fingerprint returns a hash of the file and of the files that it refers to. An unreadable file has its own value, so
// that the fault is reported once.
func fingerprint(file string) [sha256.Size]byte {
	text := contents(file)
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err == nil { // loading the file reports the error
		for _, name := range referencedFiles(&root) {
			sum := sha256.Sum256(contents(name))
			text = append(text, sum[:]...)
		}
	}
	return sha256.Sum256(text)
}

func contents(file string) []byte {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// referencedFiles lists the paths of all references "file:PATH".
func referencedFiles(node *yaml.Node) (files []string) {
	if name, found := strings.CutPrefix(node.Value, "file:"); found {
		files = append(files, name)
	}
	for _, child := range node.Content {
		files = append(files, referencedFiles(child)...)
	}
	return files
}

// load reads and applies the file. It reports a fault once.
func (r *reloader) load(ctx context.Context) {
	fresh, err := r.apply(ctx)
	if err != nil {
		r.report(ctx, err)
		return
	}
	r.fault = ""
	r.app.provider.Admin.SetFileFault("")
	r.audit.Record(ctx, audit.Event{Name: audit.SettingsLoaded, Detail: fresh.file})
	if !reflect.DeepEqual(r.app.cfg.process(), fresh.process()) {
		r.app.logger.WarnContext(ctx, "settings of the process changed in the file; they take effect at the next start")
	}
	r.app.logger.InfoContext(ctx, "configuration file loaded")
}

func (r *reloader) report(ctx context.Context, err error) {
	text := err.Error()
	if errs.KindOf(err) != errs.Internal {
		text = errs.Message(err)
	}
	if text == r.fault {
		return
	}
	r.fault = text
	r.app.provider.Admin.SetFileFault(text)
	r.audit.Record(ctx, audit.Event{Name: audit.SettingsNotLoaded, Detail: text})
	r.app.logger.ErrorContext(ctx, "configuration file not loaded, the old state stays", "error", err)
}

func (r *reloader) apply(ctx context.Context) (*config, error) {
	fresh, err := loadConfig(r.app.cfg.file)
	if err != nil {
		return nil, err
	}
	set, err := fresh.settings(r.types)
	if err != nil {
		return nil, err
	}
	return fresh, r.app.store.ApplyFile(ctx, set, time.Now())
}

// process holds the parts of the file that take effect only at a start.
func (c *config) process() fileConfig {
	p := c.fileConfig
	p.Connectors, p.LocalUsers, p.Clusters, p.Rules, p.Clients, p.TrustedIssuers, p.Workloads = nil, nil, nil, nil, nil, nil, nil
	p.Admins = settings.Admins{}
	return p
}
