package admin

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/fleet/recordings"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountRecordings(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/recordings", h.recordings)
	add(http.MethodGet, "/recordings/:id", h.recording)
	add(http.MethodGet, "/recordings/:id/screens", h.screens)
	add(http.MethodGet, "/recordings/:id/file", h.recordingFile)
}

// RecordingsData is the list of recordings of shells.
type RecordingsData struct {
	Query    store.RecordingQuery
	From, To string
	Rows     []RecordingRow
	Next     string
	Filtered bool
	Open     bool
}

// RecordingRow is a recording in the list.
type RecordingRow struct {
	store.Recording
	Path, Length string
}

// RecordingsPage is the list of recordings of shells.
func RecordingsPage() templates.Page[RecordingsData] {
	return templates.Define[RecordingsData]("admin/recordings")
}

func (h *Handler) recordings(c echo.Context, r *request) error {
	values := c.QueryParams()
	trimmed := func(name string) string { return strings.TrimSpace(values.Get(name)) }
	data := RecordingsData{
		Query: store.RecordingQuery{User: trimmed("user"), Cluster: trimmed("cluster"), Text: trimmed("text"), After: values.Get("after"), Limit: ops.PageSize},
		From:  trimmed("from"), To: trimmed("to"),
	}
	data.Query.From, data.Query.To = days(data.From, data.To)
	rows, err := h.Admin.FindRecordings(c.Request().Context(), r.caller, data.Query)
	if err != nil {
		return err
	}
	for _, row := range rows {
		data.Rows = append(data.Rows, RecordingRow{Recording: row, Path: h.Site.Path("/admin/recordings/" + row.ID), Length: clock(row.Duration)})
	}
	kept := url.Values{}
	for name := range values {
		if name != "after" && values.Get(name) != "" {
			kept.Set(name, values.Get(name))
			data.Filtered = true
			data.Open = data.Open || name == "from" || name == "to" || name == "text"
		}
	}
	if len(rows) == ops.PageSize {
		kept.Set("after", rows[len(rows)-1].Cursor())
		data.Next = "?" + kept.Encode()
	}
	return show(h, c, r, web.View[RecordingsData]{Page: RecordingsPage(), Title: i18n.T("Recordings"), Data: data})
}

// clock is a time of a recording: "1:02:03".
func clock(d time.Duration) string {
	s := int(d.Seconds())
	text := strconv.Itoa(s/60%60) + ":" + strconv.Itoa(s%60/10) + strconv.Itoa(s%10)
	if s < 3600 {
		return text
	}
	if s/60%60 < 10 {
		text = "0" + text
	}
	return strconv.Itoa(s/3600) + ":" + text
}

// RecordingData is one recording, at one moment.
type RecordingData struct {
	*ops.Replay
	Self, Events, Person string
	Screen               recordings.Frame
	// At and End are for the slider, in seconds; Now and Length for people.
	At, End, Now, Length string
	Earlier, Later       string
	Moments              []MomentLink
	// Find are the words that are searched for on the screen, Found the moments with them.
	Find  string
	Found []MomentLink
	File  string
}

// MomentLink leads to a moment.
type MomentLink struct {
	When, What, At string
	// Path is the address of the moment that keeps the search; empty without one.
	Path string
	Here bool
}

// RecordingPage is one recording.
func RecordingPage() templates.Page[RecordingData] {
	return templates.Define[RecordingData]("admin/recording")
}

// maxFind bounds the words that are searched for, in bytes.
const maxFind = 100

// step is how far one goes at a time.
const step = 5 * time.Second

func (h *Handler) recording(c echo.Context, r *request) error {
	at := moment(c)
	replay, err := h.Admin.PlayRecording(c.Request().Context(), r.caller, c.Param("id"), at)
	if err != nil {
		return err
	}
	data := RecordingData{
		Replay: replay, Self: h.Site.Path("/admin/recordings/" + replay.ID), Events: h.Site.Path("/admin/audit?request=" + url.QueryEscape(replay.RequestID)),
		Person: h.Site.Path("/admin/people/" + url.PathEscape(replay.UserID)), End: seconds(replay.Last), Length: clock(replay.Last), File: replay.ID + ".cast",
	}
	if len(replay.Frames) > 0 {
		data.Screen = replay.Frames[0]
	}
	at = min(at, replay.Last)
	data.At, data.Now = seconds(at), clock(at)
	if at > 0 {
		data.Earlier = seconds(max(at-step, 0))
	}
	if at < replay.Last {
		data.Later = seconds(min(at+step, replay.Last))
	}
	for _, m := range replay.Markers {
		data.Moments = append(data.Moments, MomentLink{When: clock(m.At), What: m.Text, At: seconds(m.At)})
	}
	if data.Find = strings.TrimSpace(c.QueryParam("find")); data.Find != "" && len(data.Find) <= maxFind {
		found, err := h.Admin.SearchRecording(c.Request().Context(), r.caller, replay.ID, data.Find)
		if err != nil {
			return err
		}
		find := "&find=" + url.QueryEscape(data.Find)
		for _, m := range found {
			data.Found = append(data.Found, MomentLink{When: clock(m.At), What: m.Text, Path: "?at=" + seconds(m.At) + find})
		}
	}
	return show(h, c, r, web.View[RecordingData]{Page: RecordingPage(), Title: i18n.Verbatim(replay.Label()), Data: data})
}

// moment is the time that is asked for; anything else is the beginning.
func moment(c echo.Context) time.Duration {
	const longest = 1e6
	at, err := strconv.ParseFloat(c.QueryParam("at"), 64)
	if err != nil || at < 0 || at > longest {
		return 0
	}
	return time.Duration(at * float64(time.Second))
}

// seconds are rounded up, so that what happened then is seen.
func seconds(d time.Duration) string {
	const tenth = 100 * time.Millisecond
	return strconv.FormatFloat(float64((d+tenth-1)/tenth)/10, 'f', -1, 64)
}

// screensAtOnce is how many screens the player gets at a time.
const screensAtOnce = 100

// frame is a screen as the player gets it: the rows that are others than before, a piece
// being a text and its classes.
type frame struct {
	At     float64             `json:"at"`
	Height int                 `json:"height"`
	Rows   map[int][][2]string `json:"rows"`
}

// screens are what the player shows next.
func (h *Handler) screens(c echo.Context, r *request) error {
	film, err := h.Admin.RecordingFrames(c.Request().Context(), r.caller, c.Param("id"), moment(c), screensAtOnce)
	if err != nil {
		return err
	}
	frames := []frame{}
	var before recordings.Frame
	for _, s := range film.Frames {
		f := frame{At: s.At.Seconds(), Height: s.Height, Rows: map[int][][2]string{}}
		for y, row := range s.Rows {
			if y < len(before.Rows) && slices.Equal(before.Rows[y], row) {
				continue
			}
			pieces := [][2]string{}
			for _, p := range row {
				pieces = append(pieces, [2]string{p.Text, p.Class})
			}
			f.Rows[y] = pieces
		}
		frames, before = append(frames, f), s
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, map[string]any{"screens": frames, "end": film.Last.Seconds()})
}

// recordingFile gives the recording as players and "recording verify" take it.
func (h *Handler) recordingFile(c echo.Context, r *request) error {
	row, text, err := h.Admin.RecordingFile(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	res := c.Response()
	res.Header().Set("Content-Type", "application/x-asciicast")
	res.Header().Set("Content-Disposition", `attachment; filename="`+row.ID+`.cast"`)
	_, err = io.Copy(res, text)
	return err
}
