package proxy

import (
	"strings"

	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/internal/recording"
	"github.com/fairlead-auth/fairlead/proxy/forward"
	"github.com/fairlead-auth/fairlead/proxy/recorder"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// film starts to record a shell, before anything of it happens.
func (x *exchange) film() *status.Error {
	recorder := x.p.cfg.Recorder
	if recorder != nil && recorder.Strict && x.info.Runs() {
		return status.Forbidden("not_recorded", "Commands are recorded at this cluster, and those that a kubelet runs by itself can't be. Use kubectl exec.")
	}
	if recorder == nil || x.job.Kind != forward.Upgrade || !x.info.Shell() {
		return nil
	}
	query := x.r.URL.Query()
	made, err := recorder.Begin(x.about(), x.info.Subresource+" "+x.info.Namespace+"/"+x.info.Name, strings.Join(query["command"], " "))
	if err != nil && recorder.Strict {
		return notRecorded(err)
	}
	if err != nil {
		recorder.Failed("", err)
		return nil
	}
	delete(x.job.Header, "Sec-Websocket-Extensions") // what is compressed can't be read
	x.recording, x.job.Watch = made, x.watch
	return nil
}

// about says whose shell it is.
func (x *exchange) about() recording.About {
	about := recording.About{
		User: x.who.User, UserID: x.who.UID, Cluster: x.p.cfg.Cluster, Namespace: x.info.Namespace, Pod: x.info.Name, Address: x.from, RequestID: logging.RequestID(x.r.Context()),
	}
	if x.target != nil {
		about.As = x.target.User
	}
	return about
}

// watch begins to see what passes.
func (x *exchange) watch(protocol, subprotocol string) (forward.Witness, *status.Error) {
	recorder := x.p.cfg.Recorder
	session, err := x.recording.Tap(protocol, subprotocol)
	if err != nil && recorder.Strict {
		return nil, notRecorded(err)
	}
	if err != nil {
		recorder.Failed(x.recording.ID(), err)
		return witness{}, nil
	}
	return witness{session}, nil
}

func notRecorded(err error) *status.Error {
	return status.Unavailable("not_recorded", "Shells of this cluster are recorded, and this one can't be (any more). Tell the people who run the cluster.", err)
}

// witness lets a session see what passes. Without one it sees nothing.
type witness struct{ *recorder.Session }

// Up implements forward.Witness.
func (w witness) Up(p []byte) *status.Error { return w.see((*recorder.Session).Up, p) }

// Down implements forward.Witness.
func (w witness) Down(p []byte) *status.Error { return w.see((*recorder.Session).Down, p) }

func (w witness) see(how func(*recorder.Session, []byte) error, p []byte) *status.Error {
	if w.Session == nil {
		return nil
	}
	if err := how(w.Session, p); err != nil {
		return notRecorded(err)
	}
	return nil
}

// endFilm ends the recording, or throws away that of what did not happen.
func (x *exchange) endFilm(why string) {
	if x.recording == nil {
		return
	}
	end := func() error { return x.recording.Close(why) }
	if x.job.Result.Code != switched {
		end = x.recording.Discard
	}
	if err := end(); err != nil {
		x.p.cfg.Recorder.Failed(x.recording.ID(), err)
	}
}
