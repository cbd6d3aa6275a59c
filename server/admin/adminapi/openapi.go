package adminapi

import (
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/version"
)

type object = map[string]any

// parameter is a path parameter of a route.
var parameter = regexp.MustCompile(`:(\w+)`)

// document serves the OpenAPI document.
func (h *Handler) document(c echo.Context) error { return c.JSON(http.StatusOK, Document(h.URL)) }

// Document returns the OpenAPI 3.1 document, generated from the table of routes and the types of their bodies.
func Document(url string) map[string]any {
	d := &documenter{schemas: object{}}
	paths := object{}
	for _, r := range routes() {
		path := parameter.ReplaceAllString(r.path, "{$1}")
		at, _ := paths[path].(object)
		if at == nil {
			at = object{}
			paths[path] = at
		}
		at[strings.ToLower(r.method)] = d.operation(r)
	}
	d.schema(reflect.TypeFor[Fault]())
	return object{
		"openapi": "3.1.0", "info": object{"title": "Fairlead administration", "version": "v1", "description": "Made by Fairlead " + version.String() + "."},
		"servers": []any{object{"url": url + Path}}, "paths": paths, "security": []any{object{"token": []any{}}},
		"components": object{"schemas": d.schemas, "securitySchemes": object{"token": object{
			"type": "http", "scheme": "bearer", "description": "An API token from the page API tokens. Its scopes limit what it may do.",
		}}},
	}
}

type documenter struct{ schemas object }

func (d *documenter) operation(r route) object {
	var parameters []any
	for _, m := range parameter.FindAllStringSubmatch(r.path, -1) {
		parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, name := range r.query {
		parameters = append(parameters, object{"name": name, "in": "query", "schema": object{"type": "string"}})
	}
	good := object{"204": object{"description": "Done."}}
	if r.response != nil {
		good = object{"200": d.content("Done.", r.response)}
		if _, makes := r.response.(Revision); makes && r.method == http.MethodPost {
			good["201"] = d.content("Created.", r.response)
		}
	}
	for status, text := range map[string]string{"401": "The API token is missing, unknown, revoked or expired.", "403": "The user is not an admin, the token lacks the scope, or the change would lock admins out.", "404": "The entry does not exist.", "409": "Another admin changed the entry in the meantime. The response has the current document and version.", "422": "Some values are not valid. The response lists them by field."} {
		good[status] = d.content(text, Fault{})
	}
	op := object{"summary": r.summary, "operationId": operationID(r), "x-scope": string(r.scope), "responses": good}
	if parameters != nil {
		op["parameters"] = parameters
	}
	if r.request != nil {
		op["requestBody"] = d.content("", r.request)
	}
	return op
}

func operationID(r route) string {
	return strings.ToLower(r.method) + strings.NewReplacer("/:", "_by_", "/", "_", "-", "_").Replace(r.path)
}

func (d *documenter) content(text string, v any) object {
	out := object{"content": object{"application/json": object{"schema": d.schema(reflect.TypeOf(v))}}}
	if text != "" {
		out["description"] = text
	}
	return out
}

// schema returns the JSON schema of a type. Structs become components.
func (d *documenter) schema(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Struct:
		d.component(t)
		return object{"$ref": "#/components/schemas/" + t.Name()}
	}
	switch t.Kind() {
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return object{"type": "object"}
		}
		return object{"type": "object", "additionalProperties": d.schema(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	default:
		return object{"type": "string"}
	}
}

func (d *documenter) component(t reflect.Type) {
	if d.schemas[t.Name()] != nil {
		return
	}
	properties, required := object{}, []any{}
	d.schemas[t.Name()] = object{"type": "object"} // stops at recursive types
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		properties[name] = d.schema(f.Type)
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	d.schemas[t.Name()] = object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}
