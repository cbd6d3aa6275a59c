// Package adminapi serves the JSON API for administrators under /api/admin/v1. It exposes the operations of
// server/admin. One table defines both the routes and the OpenAPI document.
package adminapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/server/admin"
)

// Path is the path of the API.
const Path = "/api/admin/v1"

// Handler serves the API.
type Handler struct {
	Admin *admin.Admin
	// URL is the external address of this server, for the OpenAPI document.
	URL string
}

// route is an operation with its method, path and types.
type route struct {
	method, path, summary string
	scope                 admin.Scope
	// request and response are zero values of the body types. Nil means no body.
	request, response any
	query             []string
	handle            func(h *Handler, r *call) (any, error)
}

// call is one request.
type call struct {
	echo.Context
	caller admin.Caller
	body   any
}

// body decodes the request's body into the type of the route.
func body[T any](r *call) T {
	value, _ := r.body.(*T)
	return *value
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET(Path+"/openapi.json", h.document)
	for _, r := range routes() {
		g.Add(r.method, Path+r.path, h.serve(r))
	}
}

func (h *Handler) serve(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		answer, err := h.answer(c, r)
		if err != nil {
			return refuse(c, err)
		}
		if item, ok := answer.(Entry); ok {
			c.Response().Header().Set("ETag", `"`+item.Version+`"`)
		}
		if answer == nil {
			return c.NoContent(http.StatusNoContent)
		}
		status := http.StatusOK
		if made, ok := answer.(interface{ made() bool }); ok && made.made() {
			status = http.StatusCreated
		}
		return c.JSON(status, answer)
	}
}

func (h *Handler) answer(c echo.Context, r route) (any, error) {
	token, _ := strings.CutPrefix(c.Request().Header.Get("Authorization"), "Bearer ")
	caller, err := h.Admin.Authenticate(c.Request().Context(), token, c.RealIP())
	if err != nil {
		return nil, h.Admin.RefuseUnauthenticated(c.Request().Context(), c.RealIP(), r.method+" "+r.path, err)
	}
	// Check the scope before reading the body, so that a caller without the right learns nothing about it.
	if err := h.Admin.CheckScope(c.Request().Context(), caller, r.scope, r.method+" "+r.path); err != nil {
		return nil, err
	}
	in := &call{Context: c, caller: caller}
	if r.request != nil {
		value := reflect.New(reflect.TypeOf(r.request))
		if err := decode(c.Request(), value.Interface()); err != nil {
			return nil, err
		}
		in.body = value.Interface()
	}
	return r.handle(h, in)
}

// decode decodes a JSON body and refuses unknown fields.
func decode(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return errs.Wrap(errs.Invalid, err, "The request body is not valid for this operation: %s. Check it against the OpenAPI document.", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// Fault is the JSON of an error.
type Fault struct {
	// Kind is not_found, conflict, invalid, denied, unauthenticated, unavailable or
	// internal.
	Kind      string    `json:"kind"`
	Message   string    `json:"message"`
	RequestID string    `json:"requestID"`
	Problems  []Problem `json:"problems,omitempty"`
	// Current and Version describe the entry's current state, for a conflict.
	Current form.Doc `json:"current,omitempty"`
	Version string   `json:"version,omitempty"`
}

// Problem is a fault in a field of a document.
type Problem struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func refuse(c echo.Context, err error) error {
	status := map[errs.Kind]int{
		errs.NotFound: http.StatusNotFound, errs.Conflict: http.StatusConflict, errs.Invalid: http.StatusUnprocessableEntity, errs.Denied: http.StatusForbidden,
		errs.Unauthenticated: http.StatusUnauthorized, errs.Unavailable: http.StatusServiceUnavailable,
	}[errs.KindOf(err)]
	if status == 0 {
		return err // the error is logged and sent like any other
	}
	fault := Fault{Kind: string(errs.KindOf(err)), Message: errs.Message(err), RequestID: logging.RequestID(c.Request().Context())}
	if refused, ok := errors.AsType[*admin.RefusedError](err); ok {
		for _, p := range refused.Problems {
			fault.Problems = append(fault.Problems, Problem{p.Field, p.Message})
		}
		for _, text := range refused.Elsewhere {
			fault.Problems = append(fault.Problems, Problem{"", text})
		}
	}
	if outdated, ok := errors.AsType[*admin.OutdatedError](err); ok {
		fault.Current, fault.Version = outdated.Current, outdated.Version
	}
	if status == http.StatusUnauthorized {
		c.Response().Header().Set("WWW-Authenticate", `Bearer realm="fairlead"`)
	}
	return c.JSON(status, fault)
}
