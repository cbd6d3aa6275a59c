// Package proxyapi serves the API for proxies: they enrol, receive revocations, report audit events, upload
// recordings, and ask which of their users still have access. Package proxy applies the revocations.
package proxyapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/fleet/recordings"
)

// Handler serves the API.
type Handler struct {
	Store *store.Store
	Audit *audit.Log
	Limit *ratelimit.Limiter
	// Recordings stores the recordings of shells.
	Recordings *recordings.Archive
	Now        func() time.Time
	// Issuer is the issuer identifier of this server.
	Issuer string

	watcher *watcher
	reports allowance
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	h.watcher = newWatcher(h.Store.FeedPosition)
	g.POST(proxyfeed.EnrolPath, h.answer(h.enrol))
	g.GET(proxyfeed.FeedPath, h.answer(h.feed))
	g.POST(proxyfeed.CheckPath, h.answer(h.check))
	g.POST(proxyfeed.ReportPath, h.answer(h.report))
	g.POST(proxyfeed.RecordingPath, h.answer(h.recording))
}

// fault is the JSON of an error.
type fault struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

func (h *Handler) answer(ask func(c echo.Context) (any, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		body, err := ask(c)
		if err == nil {
			return c.JSON(http.StatusOK, body)
		}
		if c.Request().Context().Err() != nil && errors.Is(err, context.Canceled) {
			return nil // the proxy has closed the connection
		}
		status := map[errs.Kind]int{
			errs.Unauthenticated: http.StatusUnauthorized, errs.Denied: http.StatusForbidden, errs.Invalid: http.StatusBadRequest, errs.NotFound: http.StatusNotFound,
			errs.Unavailable: http.StatusServiceUnavailable, errs.Conflict: http.StatusConflict,
		}[errs.KindOf(err)]
		if status == 0 {
			return err
		}
		return c.JSON(status, fault{string(errs.KindOf(err)), errs.Message(err)})
	}
}

// maxName bounds a proxy's name and version, in characters.
const maxName = 100

func decode(c echo.Context, into any) error {
	decoder := json.NewDecoder(c.Request().Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return errs.Wrap(errs.Invalid, err, "The request body is not valid JSON for this path. Update the proxy to the version of the server.")
	}
	return nil
}

func (h *Handler) enrol(c echo.Context) (any, error) {
	ctx := c.Request().Context()
	attempt := ratelimit.Enrolment(c.RealIP())
	verdict, err := h.Limit.Attempt(ctx, attempt)
	if err != nil {
		return nil, err
	}
	if verdict.Wait > 0 {
		h.Audit.LogOnly(ctx, audit.Event{Name: audit.ProxyNotEnrolled, Address: c.RealIP(), Reason: "too_many_failures"})
		return nil, errs.New(errs.Denied, "The enrolment was refused: too many codes from this address were wrong. Try again later.")
	}
	var in proxyfeed.EnrolRequest
	if err := decode(c, &in); err != nil {
		return nil, err
	}
	made, cluster, err := h.store(ctx, in, c.RealIP())
	if err != nil {
		h.Audit.Record(ctx, audit.Event{Name: audit.ProxyNotEnrolled, Address: c.RealIP(), Reason: string(errs.KindOf(err)), Detail: line(in.Name)})
		return nil, err
	}
	h.Audit.Record(ctx, audit.Event{Name: audit.ProxyEnrolled, ClusterID: cluster.ID, Address: c.RealIP(), Detail: made.ID + " " + made.Name})
	return proxyfeed.EnrolResponse{ID: made.ID, Settings: h.settings(cluster)}, h.Limit.Undo(ctx, attempt)
}

func (h *Handler) store(ctx context.Context, in proxyfeed.EnrolRequest, address string) (*store.Proxy, *store.Cluster, error) {
	if err := proxyfeed.CheckKey(in.Key); err != nil {
		return nil, nil, errs.Wrap(errs.Invalid, err, "The public key of the proxy is not valid: %s. Remove the key from the state directory of the proxy and enrol again.", err.Error())
	}
	key, err := json.Marshal(in.Key)
	if err != nil {
		return nil, nil, errs.Wrap(errs.Invalid, err, "The public key of the proxy can’t be stored. Remove the key from the state directory of the proxy and enrol again.")
	}
	made, err := h.Store.EnrolProxy(ctx, secret.Hash(in.Code), store.Proxy{Name: line(in.Name), Version: line(in.Version), PublicKey: string(key), Address: address}, h.Now())
	if err != nil {
		return nil, nil, err
	}
	cluster, err := h.Store.Cluster(ctx, made.ClusterID)
	return made, cluster, err
}

// line makes one short line of an untrusted text.
func line(text string) string { return kubenames.SanitizeLine(text, maxName) }

// maxDetail bounds the detail of a reported event, in characters.
const maxDetail = 2000

// longLine makes one longer line of an untrusted text.
func longLine(text string) string { return kubenames.SanitizeLine(text, maxDetail) }

// authenticate returns the proxy that sent the request, and its cluster.
func (h *Handler) authenticate(c echo.Context) (*store.Proxy, *store.Cluster, error) {
	ctx := c.Request().Context()
	pass, found := strings.CutPrefix(c.Request().Header.Get("Authorization"), "Bearer ")
	unknownProxy := errs.New(errs.Unauthenticated, "This server does not know this proxy: it was removed, or its state belongs to another server. Enrol it again with a code from the page of its cluster.")
	if !found {
		return nil, nil, unknownProxy
	}
	var proxy *store.Proxy
	_, err := proxyfeed.VerifyAssertion(pass, h.Issuer, h.Now(), func(id string) (string, error) {
		var err error
		if proxy, err = h.Store.Proxy(ctx, id); err != nil {
			return "", err
		}
		return proxy.PublicKey, nil
	})
	if errs.Is(err, errs.NotFound) || errors.Is(err, proxyfeed.ErrInvalidAssertion) {
		h.Audit.LogOnly(ctx, audit.Event{Name: audit.ProxyNotEnrolled, Address: c.RealIP(), Reason: "no_good_pass", Detail: c.Path()})
		return nil, nil, unknownProxy
	}
	if err != nil {
		return nil, nil, err
	}
	cluster, err := h.Store.Cluster(ctx, proxy.ClusterID)
	if errs.Is(err, errs.NotFound) {
		return nil, nil, errs.New(errs.Denied, "The cluster %s was deleted. Enrol the proxy again for another cluster.", proxy.ClusterID)
	}
	return proxy, cluster, err
}

// seenInterval is the least time between two updates of a proxy's last contact.
const seenInterval = 10 * time.Second

func (h *Handler) feed(c echo.Context) (any, error) {
	proxy, cluster, err := h.authenticate(c)
	if err != nil {
		return nil, err
	}
	ctx := c.Request().Context()
	if version := strings.TrimPrefix(line(c.Request().Header.Get("User-Agent")), "fairlead-proxy/"); h.Now().Sub(proxy.LastSeen.Time()) > seenInterval || version != proxy.Version {
		if err := h.Store.RecordProxySeen(ctx, proxy.ID, version, c.RealIP(), h.Now()); err != nil {
			return nil, err
		}
	}
	seen, err := marks(c)
	if err != nil {
		return nil, err
	}
	if seconds, err := strconv.Atoi(c.QueryParam("wait")); err == nil && seconds > 0 {
		waiting, cancel := context.WithTimeout(ctx, min(time.Duration(seconds)*time.Second, proxyfeed.MaxPollWait))
		h.watcher.wait(waiting, seen)
		cancel()
	}
	return h.update(ctx, cluster.ID, seen)
}

func marks(c echo.Context) (store.FeedPosition, error) {
	seq, errSeq := strconv.ParseInt(c.QueryParam("after"), 10, 64)
	version, errVersion := strconv.ParseInt(c.QueryParam("version"), 10, 64)
	if errors.Join(errSeq, errVersion) != nil {
		return store.FeedPosition{}, errs.New(errs.Invalid, "The parameters after and version must be numbers. Send 0 for both in the first request.")
	}
	return store.FeedPosition{Seq: seq, Version: version}, nil
}

func (h *Handler) update(ctx context.Context, clusterID string, seen store.FeedPosition) (any, error) {
	// Read the position first. A revocation that arrives in between is then sent twice instead of never.
	mark, err := h.Store.FeedPosition(ctx)
	if err != nil {
		return nil, err
	}
	// The settings must not be older than the version that the proxy then has.
	catalog, err := h.Store.CurrentCatalog(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := catalog.Cluster(clusterID)
	if err != nil {
		return nil, err
	}
	if mark.Seq < seen.Seq { // the database was restored from an older copy, so the proxy needs everything again
		seen.Seq = 0
	}
	rows, err := h.Store.Revocations(ctx, seen.Seq, h.Now())
	if err != nil {
		return nil, err
	}
	news := proxyfeed.Update{Seq: mark.Seq, Version: mark.Version, Now: h.Now().UTC(), Settings: h.settings(cluster), Revocations: []proxyfeed.Revocation{}}
	for _, r := range rows {
		news.Revocations = append(news.Revocations, proxyfeed.Revocation{
			Kind: string(r.Kind), Value: r.Value, Reason: r.Reason, At: r.Time.Time().UTC(), Until: r.Expires.Time().UTC(),
		})
	}
	return news, nil
}

func (h *Handler) settings(cluster *store.Cluster) proxyfeed.Settings {
	return proxyfeed.Settings{
		Cluster: cluster.ID, Audience: cluster.Audience, Issuer: h.Issuer, StaleAfterSeconds: int(cluster.Stale().Seconds()), FailClosed: cluster.FailClosed, StreamGraceSeconds: cluster.StreamSeconds,
	}
}

// check returns which of these users may no longer use the proxy's cluster.
func (h *Handler) check(c echo.Context) (any, error) {
	_, cluster, err := h.authenticate(c)
	if err != nil {
		return nil, err
	}
	var in proxyfeed.CheckRequest
	if err := decode(c, &in); err != nil {
		return nil, err
	}
	if len(in.UserIDs) > proxyfeed.MaxUsersPerCheck {
		return nil, errs.New(errs.Invalid, "The request names too many users. Send at most %d at once.", proxyfeed.MaxUsersPerCheck)
	}
	// Take the time before reading, so that later changes are not missed.
	now := h.Now().UTC()
	allowed, err := h.allowed(c.Request().Context(), cluster, in.UserIDs)
	if err != nil {
		return nil, err
	}
	out := proxyfeed.CheckResponse{DeniedUserIDs: []string{}, Now: now}
	for _, id := range in.UserIDs {
		if !allowed[id] {
			out.DeniedUserIDs = append(out.DeniedUserIDs, id)
		}
	}
	return out, nil
}
