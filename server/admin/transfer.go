package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// ImportEntry is an entry of an import, with the effect of importing it.
type ImportEntry struct {
	Kind, ID, Action string
	Diff             []form.Change
	// Problems say why the entry cannot be imported. The others are imported without it.
	Problems []string

	before, after form.Doc
}

func (e *ImportEntry) addProblem(format string, args ...any) {
	e.Problems = append(e.Problems, fmt.Sprintf(format, args...))
}

// Changes reports whether importing the entry changes something.
func (e *ImportEntry) Changes() bool { return len(e.Problems) == 0 && e.Action != actionSame }

// actionSame is the action of an entry that is stored as the text has it.
const actionSame = "same"

// ImportPlan describes the effect of an import.
type ImportPlan struct {
	Entries []ImportEntry
	// Notes say what an admin must still do. Ignored name what the import does not take over.
	Notes, Ignored []string
	// Variables are the environment variables that the text names.
	Variables []string
	// Prune lists entries of the pages that are not in the import.
	Prune []ImportEntry
	// Refused say why nothing of the text can be imported. It is empty if the import is possible.
	Refused []string
}

// Problems counts the entries that cannot be imported.
func (p *ImportPlan) Problems() int {
	n := 0
	for _, e := range p.Entries {
		if len(e.Problems) > 0 {
			n++
		}
	}
	return n
}

// Err returns an error of the kind Invalid if the plan imports nothing.
func (p *ImportPlan) Err() error {
	switch {
	case len(p.Refused) > 0:
		return errs.New(errs.Invalid, "Nothing was imported. Correct the text and import again: %s", strings.Join(p.Refused[:min(len(p.Refused), maxRefused)], " "))
	case len(p.Entries)+len(p.Prune) == 0:
		return errs.New(errs.Invalid, "Nothing was imported, because the text has no entries. Check the format of the import.")
	case len(p.Prune) == 0 && p.Problems() == len(p.Entries):
		return errs.New(errs.Invalid, "Nothing was imported, because no entry of the text is valid. Correct the text and import again: %s", p.Entries[0].Problems[0])
	}
	return nil
}

// maxRefused is how many reasons an error names.
const maxRefused = 5

// Source is a text to import.
type Source struct {
	// Format is "fairlead", "dex" or "gangway".
	Format string
	Text   []byte
	// Env returns the value of an environment variable that the text names. Nil means that there are none.
	Env func(name string) (string, bool)
	// Resolve returns the value of a reference such as "file:PATH". Nil, for pages, makes references a problem, except
	// for the variables of Env.
	Resolve func(text string) (string, error)
	// Reason is stored in the history. With a reason, connectors may be enabled without a test sign-in.
	Reason string
	// Prune also deletes the entries of the pages that the text does not contain, of the kinds that it names.
	Prune bool
}

// maxImport bounds the text, in bytes.
const maxImport = 1 << 20

// maxImportTime bounds an import. A text of the largest size takes about four seconds.
const maxImportTime = 2 * time.Minute

// PlanImport reads a text and returns the effect of importing it.
func (a *Admin) PlanImport(ctx context.Context, c Caller, s Source) (*ImportPlan, error) {
	if err := a.authorize(ctx, c, WriteSettings, "plan an import"); err != nil {
		return nil, err
	}
	file, err := a.readImport(s)
	if err != nil {
		return nil, err
	}
	verified, err := a.recoveryVerified(ctx, verifiedWithin)
	if err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	i := a.planImport(set, s, file)
	if _, err := i.trials(c, verified); err != nil {
		i.refuse("%s", errs.Message(err))
	}
	return i.plan, nil
}

// readImport reads the text, with the values of the references in it.
func (a *Admin) readImport(s Source) (*settings.ImportFile, error) {
	if len(s.Text) > maxImport {
		return nil, errs.New(errs.Invalid, "The text is too long: an import takes at most 1 MiB. Import it in several parts.")
	}
	if len(s.Reason) > maxReason {
		return nil, errs.New(errs.Invalid, "The reason is too long. Enter at most %d characters.", maxReason)
	}
	file, err := settings.ReadImport(s.Text, s.Format, s.Env)
	if err != nil {
		return nil, err
	}
	for _, k := range settings.Kinds() {
		for _, e := range file.Docs[k.Name] {
			key := settings.EntryKey(k.Name, e.ID)
			file.Faults[key] = append(file.Faults[key], a.resolve(s, k, e.Doc, file)...)
		}
	}
	slices.Sort(file.Variables)
	file.Variables = slices.Compact(file.Variables)
	return file, nil
}

// resolve replaces references to secrets with their values.
func (a *Admin) resolve(s Source, k settings.Kind, doc form.Doc, file *settings.ImportFile) (faults []string) {
	for _, f := range a.fields(k.Name, doc) {
		text := doc.Text(f.Key)
		if f.Kind != form.Secret || !settings.IsReference(text) {
			continue
		}
		if name, found := strings.CutPrefix(text, "env:"); found {
			file.Variables = append(file.Variables, name)
		}
		value, err := s.value(text)
		if err != nil {
			faults = append(faults, f.Label+": "+err.Error())
		}
		doc.Set(f.Key, value)
	}
	return faults
}

// value returns the value of a reference.
func (s Source) value(reference string) (string, error) {
	if name, found := strings.CutPrefix(reference, "env:"); found && s.Env != nil {
		if value, known := s.Env(name); known {
			return value, nil
		}
	}
	if s.Resolve != nil {
		return s.Resolve(reference)
	}
	return "", fmt.Errorf("%s is a reference to a value that the import does not have. Give it in the environment of the import, run `fairlead admin import`, or enter the secret itself", reference)
}

// errNotImported rolls the transaction of a refused import back.
var errNotImported = errors.New("the import was refused")

// Import makes the changes of PlanImport in one transaction. Each entry becomes a revision. Entries with problems are
// left out, and the returned plan lists them. If the plan says that the import is refused, nothing has changed. The
// import goes on if the caller leaves.
func (a *Admin) Import(ctx context.Context, c Caller, s Source) (*ImportPlan, error) {
	if err := a.authorizeWrite(ctx, c, "import"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxImportTime)
	defer cancel()
	file, err := a.readImport(s)
	if err != nil {
		return nil, err
	}
	// This query comes before the transaction, because the pool may have one connection only.
	verified, err := a.recoveryVerified(ctx, verifiedWithin)
	if err != nil {
		return nil, err
	}
	var i *importing
	var revisions []*store.Revision
	err = a.Store.UpdateSettings(ctx, func(tx *store.SettingsTx) error {
		set, err := tx.All()
		if err != nil {
			return err
		}
		c, err := callerNow(tx, set, c)
		if err != nil {
			return err
		}
		i = a.planImport(set, s, file)
		if len(i.plan.Refused) > 0 {
			return errNotImported
		}
		revisions, err = i.write(tx, c, verified)
		return err
	})
	if errors.Is(err, errNotImported) {
		return i.plan, nil
	}
	if errs.Is(err, errs.Denied) {
		a.recordRefusal(ctx, c, "guard", "import: "+err.Error())
	}
	if err != nil {
		return nil, err
	}
	a.afterImport(ctx, c, revisions)
	return i.plan, nil
}

// afterImport applies new settings to the running server and records one event for the import.
func (a *Admin) afterImport(ctx context.Context, c Caller, revisions []*store.Revision) {
	if len(revisions) == 0 {
		return
	}
	if err := a.Refresh(ctx); err != nil {
		a.Logger.WarnContext(ctx, "settings not taken over yet", "error", err)
	}
	first, last := revisions[0].Number, revisions[len(revisions)-1].Number
	event := c.event(audit.AdminChanged)
	event.Reason, event.Detail = "import", fmt.Sprintf("%s, revisions %d to %d", plural(len(revisions), "change", "changes"), first, last)
	a.Audit.Record(ctx, event)
}

// trials runs the guards and returns which entries go on trial, by index in the list of changes.
func (i *importing) trials(c Caller, verified bool) (map[int]bool, error) {
	trials := map[int]bool{}
	for n, e := range i.changes() {
		trial, err := guard(c, i.planOf(e), verified, i.source.Reason)
		if err != nil {
			return nil, err
		}
		trials[n] = trial
	}
	return trials, nil
}

// write writes all changes with their revisions.
func (i *importing) write(tx *store.SettingsTx, c Caller, verified bool) ([]*store.Revision, error) {
	trials, err := i.trials(c, verified)
	if err != nil {
		return nil, err
	}
	var revisions []*store.Revision
	for n, e := range i.changes() {
		p := i.planOf(e)
		revision, err := i.a.write(tx, c, p, cmp.Or(i.source.Reason, "import"))
		if err != nil {
			return nil, err
		}
		if err := i.a.file(tx, p, revision, trials[n]); err != nil {
			return nil, err
		}
		revisions = append(revisions, revision)
	}
	return revisions, nil
}
