// Package password hashes passwords with argon2id and verifies them. It also verifies
// imported bcrypt hashes. It limits the memory and CPU that hashing takes.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"
)

// Limits of a password's length, in bytes. A longer password is refused before it is hashed.
const (
	MinLength = 8
	MaxLength = 1024
)

// Errors of hashes and passwords. ErrFormat completes a sentence: "NAME is neither …".
var (
	ErrFormat = errors.New("is neither an argon2id PHC string nor a bcrypt hash with cost 4 to 14")
	ErrLength = fmt.Errorf("a password must have %d to %d bytes", MinLength, MaxLength)
)

// The argon2id parameters of new hashes: 19 MiB, two passes, one lane. They are the OWASP
// recommendation with the least memory, and take about 40 ms of one core.
const (
	memoryKiB = 19 * 1024
	passes    = 2
	lanes     = 1
	saltSize  = 16
	sumSize   = 32
)

// Limits of the parameters of a stored hash: the upper ones bound the work of verifying it,
// the lower ones refuse hashes that protect too little.
const (
	minMemoryKiB = 1024
	maxMemoryKiB = 256 * 1024
	minSalt      = 8
	minSum       = 16
	maxSum       = 64
	maxPasses    = 16
	maxLanes     = 16
	maxCost      = 14
)

// Hasher hashes and verifies passwords on at most half of the cores, so that many sign-ins
// at once starve neither the memory nor the token endpoint.
type Hasher struct {
	slots *semaphore.Weighted
	dummy string
}

// NewHasher returns a hasher with one slot for every two cores, and at least one.
func NewHasher() *Hasher {
	h := &Hasher{slots: semaphore.NewWeighted(int64(max(1, runtime.GOMAXPROCS(0)/2)))}
	h.dummy = encode(make([]byte, saltSize), make([]byte, sumSize))
	return h
}

// Hash returns an argon2id PHC string. The error is ErrLength, or that of ctx when ctx ends
// before a slot is free.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) < MinLength || len(password) > MaxLength {
		return "", ErrLength
	}
	if err := h.slots.Acquire(ctx, 1); err != nil {
		return "", fmt.Errorf("waiting for a free slot to hash a password: %w", err)
	}
	defer h.slots.Release(1)
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return encode(salt, argon2.IDKey([]byte(password), salt, passes, memoryKiB, lanes, sumSize)), nil
}

// Result is the result of Check.
type Result struct {
	// Match reports whether the password is correct.
	Match bool
	// Stale reports whether the hash has outdated parameters, so that the caller should
	// hash the password again.
	Stale bool
}

// Check compares a password with a hash. An empty hash stands for an unknown user: it takes
// as long as a wrong password and never matches. The error is ErrFormat, or that of ctx when
// ctx ends before a slot is free.
func (h *Hasher) Check(ctx context.Context, hash, password string) (Result, error) {
	if len(password) > MaxLength {
		return Result{}, nil
	}
	known := hash != ""
	if !known {
		hash = h.dummy
	}
	if err := h.slots.Acquire(ctx, 1); err != nil {
		return Result{}, fmt.Errorf("waiting for a free slot to check a password: %w", err)
	}
	defer h.slots.Release(1)
	if strings.HasPrefix(hash, "$2") {
		return Result{Match: bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil, Stale: true}, nil
	}
	p, err := decode(hash)
	if err != nil {
		return Result{}, err
	}
	sum := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.sum))) //nolint:gosec // decode bounds the length
	match := subtle.ConstantTimeCompare(sum, p.sum) == 1 && known
	return Result{Match: match, Stale: p.passes != passes || p.memory != memoryKiB}, nil
}

// Valid returns ErrFormat if Check can't verify passwords with hash. It hashes nothing.
func Valid(hash string) error {
	if strings.HasPrefix(hash, "$2") {
		cost, err := bcrypt.Cost([]byte(hash))
		if err != nil || cost > maxCost {
			return ErrFormat
		}
		return nil
	}
	_, err := decode(hash)
	return err
}

type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

func encode(salt, sum []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memoryKiB, passes, lanes,
		b64.EncodeToString(salt), b64.EncodeToString(sum))
}

func decode(hash string) (phc, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, ErrFormat
	}
	var p phc
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); n != 3 || err != nil {
		return phc{}, ErrFormat
	}
	var errSalt, errSum error
	p.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	p.sum, errSum = base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errSum != nil || !p.bounded() {
		return phc{}, ErrFormat
	}
	return p, nil
}

// bounded reports whether the parameters are within the limits above.
func (p phc) bounded() bool {
	return between(p.memory, minMemoryKiB, maxMemoryKiB) && between(p.passes, 1, maxPasses) && between(uint32(p.lanes), 1, maxLanes) &&
		len(p.salt) >= minSalt && len(p.sum) >= minSum && len(p.sum) <= maxSum
}

func between(n, low, high uint32) bool { return n >= low && n <= high }
