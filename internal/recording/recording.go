// Package recording defines the format of session recordings: asciicast v2 lines with a signed hash
// chain. It reads and verifies recordings; package proxy/recorder writes them.
package recording

// SessionInfo identifies a session.
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

// Header is the first line of a recording (asciicast v2).
type Header struct {
	Version   int    `json:"version"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
	Timestamp int64  `json:"timestamp"`
	Title     string `json:"title"`
	Command   string `json:"command,omitempty"`
	// Fairlead holds the fields that asciicast does not define.
	Fairlead Metadata `json:"fairlead"`
}

// Metadata identifies a recording and the key that signed it.
type Metadata struct {
	SessionInfo
	ID    string `json:"id"`
	KeyID string `json:"keyID"`
	Stdin bool   `json:"stdin"`
}

// Kinds of events. Signature is not defined by asciicast v2, and players skip it.
const (
	Output    = "o"
	Input     = "i"
	Resize    = "r"
	Marker    = "m"
	Signature = "s"
)
