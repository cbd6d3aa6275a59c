package serve

import (
	"os"
	"runtime/debug"
)

// gcPercent lets the heap grow to four times the live data before a collection, instead of twice. The
// live data is a few megabytes, and frequent collections take 5% of the processor time of a token request.
const gcPercent = 300

// TuneMemory sets the garbage collector's target percentage, unless the operator has set GOGC.
func TuneMemory() {
	if os.Getenv("GOGC") == "" { //nolint:forbidigo // the runtime's own variable
		debug.SetGCPercent(gcPercent)
	}
}
