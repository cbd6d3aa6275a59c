package admin

import (
	"io"
	"net/http"

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
	Format, Text string
	Prune        bool
	Plan         *ops.ImportPlan
	Error        string
	// Done says that the plan has been carried out.
	Done   bool
	Export string
}

// TransferPage is the page for import and export.
func TransferPage() templates.Page[TransferData] {
	return templates.Define[TransferData]("admin/transfer")
}

func (h *Handler) transfer(c echo.Context, r *request, data TransferData) error {
	data.Export = h.Site.Path("/admin/transfer/export")
	view := web.View[TransferData]{Page: TransferPage(), Title: i18n.T("Import and export"), Data: data}
	if data.Error != "" {
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
	data := TransferData{Format: c.FormValue("format"), Text: c.FormValue("text"), Prune: c.FormValue("prune") != ""}
	if upload, err := c.FormFile("file"); err == nil && upload.Size > 0 {
		file, err := upload.Open()
		if err != nil {
			return err
		}
		body, err := io.ReadAll(file)
		if err != nil {
			return err
		}
		data.Text = string(body)
	}
	source := ops.Source{Format: data.Format, Text: []byte(data.Text), Prune: data.Prune}
	work := h.Admin.PlanImport
	if c.FormValue("do") == "import" {
		work, data.Done = h.Admin.Import, true
	}
	var err error
	if data.Plan, err = work(c.Request().Context(), r.caller, source); errs.Is(err, errs.Invalid) || errs.Is(err, errs.Denied) {
		data.Error, data.Done, err = errs.Message(err), false, nil
	}
	if err != nil {
		return err
	}
	return h.transfer(c, r, data)
}
