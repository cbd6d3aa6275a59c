package proxyfeed

// RecordingPath is the path for uploads of recordings, part by part.
const RecordingPath = "/proxy/v1/recordings"

// MaxRecordingPart is the maximum size of a part's data, in bytes. JSON makes it a third larger.
const MaxRecordingPart = 384 << 10

// RecordingPart is a part of a finished recording. The whole recording is compressed with gzip.
type RecordingPart struct {
	// ID is the UUID of the recording.
	ID string `json:"id"`
	// Number counts from 0. Part 0 restarts the upload.
	Number int    `json:"number"`
	Data   []byte `json:"data"`
	// Last marks the last part.
	Last bool `json:"last,omitempty"`
}
