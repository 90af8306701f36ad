package snowflake

import (
	"bytes"
	"strconv"
	"strings"
)

// undefined are the words that stand for a value in Snowflake's text of semi-
// structured data and that JSON has no word for.
var undefined = [][]byte{[]byte("undefined"), []byte("-Infinity"), []byte("Infinity"), []byte("NaN"), []byte("-inf"), []byte("inf")}

// appendDefined copies a document and writes null for what JSON does not know.
func appendDefined(dst, text []byte) []byte {
	inString := false
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case inString && ch == '\\' && i+1 < len(text):
			dst = append(dst, ch, text[i+1])
			i++
			continue
		case ch == '"':
			inString = !inString
		case !inString:
			if word := undefinedAt(text[i:]); word > 0 {
				dst = append(dst, "null"...)
				i += word - 1
				continue
			}
		}
		dst = append(dst, text[i])
	}
	return dst
}

// undefinedAt is the length of the word that text begins with, 0 if it is none.
func undefinedAt(text []byte) int {
	for _, word := range undefined {
		if bytes.HasPrefix(text, word) {
			return len(word)
		}
	}
	return 0
}

// appendPlain writes digits × 10^exponent without an exponent.
func appendPlain(dst []byte, digits string, exponent int) []byte {
	if rest, ok := strings.CutPrefix(digits, "-"); ok {
		dst, digits = append(dst, '-'), rest
	}
	switch {
	case digits == "0":
		return append(dst, '0')
	case exponent >= 0:
		dst = append(dst, digits...)
		for range exponent {
			dst = append(dst, '0')
		}
		return dst
	case -exponent < len(digits):
		point := len(digits) + exponent
		dst = append(append(dst, digits[:point]...), '.')
		return append(dst, digits[point:]...)
	}
	dst = append(dst, "0."...)
	for range -exponent - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

// appendDecimal writes a decimal that may have an exponent without one.
func appendDecimal(dst []byte, text string) ([]byte, bool) {
	mantissa, power, scientific := strings.Cut(strings.ToLower(text), "e")
	exponent := 0
	if scientific {
		var err error
		if exponent, err = strconv.Atoi(strings.TrimPrefix(power, "+")); err != nil || exponent > 1<<15 || exponent < -1<<15 {
			return dst, false
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	sign := ""
	if rest, ok := strings.CutPrefix(whole, "-"); ok {
		sign, whole = "-", rest
	}
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return dst, false
	}
	if !scientific {
		return append(dst, text...), true
	}
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return append(dst, '0'), true
	}
	return appendPlain(dst, sign+digits, exponent-len(fraction)), true
}
