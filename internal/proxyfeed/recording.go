package proxyfeed

// RecordingPath is where proxies hand in recordings of shells, part by part.
const RecordingPath = "/proxy/v1/recordings"

// MaxRecordingPart bounds the data of a part, in bytes. In JSON it is a third more.
const MaxRecordingPart = 384 << 10

// RecordingPart is a piece of a recording that is over, compressed with gzip as a whole.
type RecordingPart struct {
	// ID is the recording's: a UUID.
	ID string `json:"id"`
	// Number counts from 0. Part 0 begins anew, whatever came before.
	Number int    `json:"number"`
	Data   []byte `json:"data"`
	// Last says that nothing follows.
	Last bool `json:"last,omitempty"`
}
