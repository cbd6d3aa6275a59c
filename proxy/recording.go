package proxy

import (
	"strings"

	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/internal/recording"
	"github.com/fairlead-auth/fairlead/proxy/forward"
	"github.com/fairlead-auth/fairlead/proxy/recorder"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// startRecording starts the recording of a terminal session before the request is forwarded.
func (x *exchange) startRecording() *status.Error {
	recorder := x.proxy.cfg.Recorder
	if recorder != nil && recorder.Required && x.info.IsKubeletRun() {
		return status.RecordingRequired()
	}
	if recorder == nil || x.call.Kind != forward.Upgrade || !x.info.IsShell() {
		return nil
	}
	query := x.request.URL.Query()
	made, err := recorder.Begin(x.recordingSession(), x.info.Subresource+" "+x.info.Namespace+"/"+x.info.Name, strings.Join(query["command"], " "))
	if err != nil && recorder.Required {
		return status.RecordingUnavailable(err)
	}
	if err != nil {
		recorder.OnFailure("", err)
		return nil
	}
	delete(x.call.Header, "Sec-Websocket-Extensions") // prevents compression, which the tap cannot decode
	x.recording, x.call.NewInspector = made, x.newTunnelInspector
	return nil
}

// recordingSession describes the session for the recording.
func (x *exchange) recordingSession() recording.SessionInfo {
	about := recording.SessionInfo{
		User: x.identity.User, UserID: x.identity.UID, Cluster: x.proxy.cfg.Cluster, Namespace: x.info.Namespace, Pod: x.info.Name, Address: x.clientAddress, RequestID: logging.RequestID(x.request.Context()),
	}
	if x.impersonated != nil {
		about.As = x.impersonated.User
	}
	return about
}

// newTunnelInspector starts to decode the data of the tunnel.
func (x *exchange) newTunnelInspector(protocol, subprotocol string) (forward.Inspector, *status.Error) {
	recorder := x.proxy.cfg.Recorder
	session, err := x.recording.NewTap(protocol, subprotocol)
	if err != nil && recorder.Required {
		return nil, status.RecordingUnavailable(err)
	}
	if err != nil {
		recorder.OnFailure(x.recording.ID(), err)
		return tunnelInspector{}, nil
	}
	return tunnelInspector{session}, nil
}

// tunnelInspector passes data to a tap. Without a tap it does nothing.
type tunnelInspector struct{ *recorder.Tap }

// FromClient implements forward.Inspector.
func (w tunnelInspector) FromClient(p []byte) *status.Error {
	return w.inspect((*recorder.Tap).FromClient, p)
}

// FromServer implements forward.Inspector.
func (w tunnelInspector) FromServer(p []byte) *status.Error {
	return w.inspect((*recorder.Tap).FromServer, p)
}

func (w tunnelInspector) inspect(how func(*recorder.Tap, []byte) error, p []byte) *status.Error {
	if w.Tap == nil {
		return nil
	}
	if err := how(w.Tap, p); err != nil {
		return status.RecordingUnavailable(err)
	}
	return nil
}

// finishRecording ends the recording, or discards it if the session did not start.
func (x *exchange) finishRecording(why string) {
	if x.recording == nil {
		return
	}
	end := func() error { return x.recording.Close(why) }
	if x.call.Result.Code != statusTunnel {
		end = x.recording.Discard
	}
	if err := end(); err != nil {
		x.proxy.cfg.Recorder.OnFailure(x.recording.ID(), err)
	}
}
