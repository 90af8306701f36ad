package configs

import (
	"fmt"
	"io"
	"log/slog"
)

const mask = "***"

// Secret is text that must not be seen: whatever prints it, prints "***".
type Secret string

// Reveal returns the text itself. Call it where the secret is used, not before.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string   { return mask }
func (s Secret) GoString() string { return mask }

// Format covers the verbs that bypass String, such as a mistaken %d.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

func (s Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }
func (s Secret) MarshalYAML() (any, error)    { return mask, nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(mask) }
