package recordings

import (
	"context"
	"io"
	"time"
)

// PlayWithin is Play with another bound of the work.
func PlayWithin(ctx context.Context, text io.Reader, from time.Duration, work int) (Playback, error) {
	return play(ctx, text, &player{from: from, budget: work})
}
