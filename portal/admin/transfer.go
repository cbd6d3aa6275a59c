package admin

import (
	"io"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountTransfer(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/transfer", func(c echo.Context, r *request) error {
		return h.transfer(c, r, TransferData{Format: "fairlead"})
	})
	add(http.MethodPost, "/transfer", h.importText)
	add(http.MethodGet, "/transfer/export", h.export)
}

// TransferData is the page for import and export.
type TransferData struct {
	Format, Text, Reason string
	Prune                bool
	// Variables are the environment variables that the text names.
	Variables []Variable
	Plan      *ops.ImportPlan
	Error     string
	// Done says that the plan has been carried out.
	Done            bool
	Export, History string
}

// Variable is a field for the value of an environment variable.
type Variable struct {
	Name, Value string
}

// Importable reports that the page shows a preview that can be imported.
func (d TransferData) Importable() bool { return d.Plan != nil && !d.Done && d.Plan.Err() == nil }

// Nothing says why the plan imports nothing. It is empty if the plan imports something.
func (d TransferData) Nothing() string {
	if d.Plan == nil || len(d.Plan.Refused) > 0 {
		return ""
	}
	return errs.Message(d.Plan.Err())
}

// Changes counts the entries that the plan creates, changes or deletes.
func (d TransferData) Changes() int {
	n := len(d.Plan.Prune)
	for i := range d.Plan.Entries {
		if d.Plan.Entries[i].Changes() {
			n++
		}
	}
	return n
}

// TransferPage is the page for import and export.
func TransferPage() templates.Page[TransferData] {
	return templates.Define[TransferData]("admin/transfer")
}

func (h *Handler) transfer(c echo.Context, r *request, data TransferData) error {
	data.Export, data.History = h.Site.Path("/admin/transfer/export"), h.Site.Path("/admin/history")
	view := web.View[TransferData]{Page: TransferPage(), Title: i18n.T("Import and export"), Data: data}
	if data.Error != "" || data.Plan != nil && data.Plan.Err() != nil {
		view.Status = http.StatusUnprocessableEntity
	}
	return show(h, c, r, view)
}

func (h *Handler) export(c echo.Context, r *request) error {
	text, err := h.Admin.Export(c.Request().Context(), r.caller)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Content-Disposition", `attachment; filename="fairlead-export.yaml"`)
	return c.Blob(http.StatusOK, "application/yaml", text)
}

func (h *Handler) importText(c echo.Context, r *request) error {
	data := TransferData{Format: c.FormValue("format"), Text: c.FormValue("text"), Reason: c.FormValue("reason"), Prune: c.FormValue("prune") != ""}
	text, err := uploaded(c, "file")
	if err != nil {
		return err
	}
	if text != "" {
		data.Text = text
	}
	env := func(name string) (string, bool) {
		value := c.FormValue(variableField + name)
		return value, value != ""
	}
	source := ops.Source{Format: data.Format, Text: []byte(data.Text), Env: env, Reason: strings.TrimSpace(data.Reason), Prune: data.Prune}
	work := h.Admin.PlanImport
	if c.FormValue("do") == "import" {
		work, data.Done = h.Admin.Import, true
	}
	data.Plan, err = work(c.Request().Context(), r.caller, source)
	if errs.Is(err, errs.Invalid) || errs.Is(err, errs.Denied) {
		data.Error, data.Done, err = errs.Message(err), false, nil
	}
	if err != nil {
		return err
	}
	if data.Plan != nil {
		data.Done = data.Done && data.Plan.Err() == nil
		for _, name := range data.Plan.Variables {
			data.Variables = append(data.Variables, Variable{name, c.FormValue(variableField + name)})
		}
	}
	return h.transfer(c, r, data)
}

// variableField is the start of the names of fields for environment variables.
const variableField = "env."

// uploaded returns the text of an uploaded file, or nothing if there is none.
func uploaded(c echo.Context, field string) (string, error) {
	upload, err := c.FormFile(field)
	if err != nil || upload.Size == 0 {
		return "", nil //nolint:nilerr // no file was uploaded
	}
	file, err := upload.Open()
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(file)
	return string(body), err
}
