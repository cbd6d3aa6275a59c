// Package recording is what a recording of a shell is: lines of asciicast v2, chained and
// signed. It says what was done to one since it was made. Who makes them is proxy/recorder.
package recording

// About says whose session it is.
type SessionInfo struct {
	User      string `json:"user"`
	As        string `json:"as,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	RequestID string `json:"requestID,omitempty"`
	UserID    string `json:"userID,omitempty"`
	Address   string `json:"address,omitempty"`
}

// Header is the first line (asciicast v2).
type Header struct {
	Version   int    `json:"version"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
	Timestamp int64  `json:"timestamp"`
	Title     string `json:"title"`
	Command   string `json:"command,omitempty"`
	// Fairlead is what asciicast has no place for.
	Fairlead Metadata `json:"fairlead"`
}

// Origin says where a recording comes from.
type Metadata struct {
	SessionInfo
	ID    string `json:"id"`
	KeyID string `json:"keyID"`
	Stdin bool   `json:"stdin"`
}

// Kinds of events (asciicast v2, but for Signed, which players skip).
const (
	Output    = "o"
	Input     = "i"
	Resize    = "r"
	Marker    = "m"
	Signature = "s"
)
