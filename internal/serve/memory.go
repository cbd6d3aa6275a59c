package serve

import (
	"os"
	"runtime/debug"
)

// gcPercent lets the heap grow to four times what is alive before it is
// collected, and not to twice: what is alive is a few megabytes, and collecting
// it often costs a twentieth of the processor time of a token request.
const gcPercent = 300

// TuneMemory sets how often the program collects garbage, unless the operator
// has said it with GOGC.
func TuneMemory() {
	if os.Getenv("GOGC") == "" { //nolint:forbidigo // the runtime's own variable
		debug.SetGCPercent(gcPercent)
	}
}
