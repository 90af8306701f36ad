//go:build cgo

package snowflaketest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Login is a login that was tried.
type Login struct {
	User, Authenticator, Role, Warehouse, Database, Schema string
	Parameters                                             map[string]any
}

// login is a session. Its tokens change when it is renewed.
type login struct {
	token, master string
	expired       bool
}

type loginBody struct {
	Data struct {
		Account       string         `json:"ACCOUNT_NAME"`
		User          string         `json:"LOGIN_NAME"`
		Password      string         `json:"PASSWORD"`
		Authenticator string         `json:"AUTHENTICATOR"`
		Token         string         `json:"TOKEN"`
		Parameters    map[string]any `json:"SESSION_PARAMETERS"`
	} `json:"data"`
}

func (s *Server) loginRequest(w http.ResponseWriter, r *http.Request) {
	if status := s.faults.loginStatus(); status != 0 {
		http.Error(w, "no", status)
		return
	}
	var body loginBody
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q := r.URL.Query()
	tried := Login{User: body.Data.User, Authenticator: body.Data.Authenticator, Role: q.Get("roleName"), Warehouse: q.Get("warehouse"),
		Database: q.Get("databaseName"), Schema: q.Get("schemaName"), Parameters: body.Data.Parameters}
	s.mu.Lock()
	s.logins = append(s.logins, tried)
	s.mu.Unlock()
	if code, message := s.refuse(body, tried.Role); code != "" {
		reply(w, answer{Code: code, Message: message})
		return
	}
	l := s.newLogin()
	reply(w, answer{Success: true, Data: map[string]any{
		"token": l.token, "masterToken": l.master, "sessionId": 1, "parameters": []any{map[string]any{"name": "TIMEZONE", "value": "UTC"}},
		"sessionInfo": map[string]any{"databaseName": s.options.Database, "schemaName": s.options.Schema, "roleName": tried.Role},
	}})
}

func (s *Server) newLogin() *login {
	l := &login{token: s.id("session"), master: s.id("master")}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[l.token], s.masters[l.master] = l, l
	return l
}

// refuse says why a login is not let in; empty: it is.
func (s *Server) refuse(body loginBody, role string) (code, message string) {
	d := body.Data
	switch {
	case !strings.EqualFold(d.Account, s.options.Account):
		return "390100", "Incorrect username or password was specified."
	case d.Authenticator == "SNOWFLAKE_JWT":
		if !s.signed(d.Token) {
			return "390144", "JWT token is invalid. [3b7f]"
		}
	case d.Authenticator == "OAUTH", d.Authenticator == "PROGRAMMATIC_ACCESS_TOKEN":
		switch {
		case s.faults.tokenExpired():
			return "390318", "OAuth access token expired. [3b7f]"
		case s.options.Token == "" || d.Token != s.options.Token:
			return "390303", "Invalid OAuth access token. [3b7f]"
		}
	case !strings.EqualFold(d.User, s.options.User) || d.Password != s.options.Password:
		return "390100", "Incorrect username or password was specified."
	}
	if role != "" && len(s.options.Roles) > 0 && !slices.Contains(s.options.Roles, role) {
		return "390189", "Role '" + role + "' specified in the connect string does not exist or not authorized. Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC."
	}
	return "", ""
}

// signed verifies a token that a key pair has signed, as Snowflake does.
func (s *Server) signed(text string) bool {
	if s.options.PublicKey == nil {
		return false
	}
	claims := jwt.RegisteredClaims{}
	_, err := jwt.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return s.options.PublicKey, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired())
	if err != nil {
		return false
	}
	der, err := x509.MarshalPKIXPublicKey(s.options.PublicKey)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(der)
	subject := strings.ToUpper(s.options.Account) + "." + strings.ToUpper(s.options.User)
	return claims.Subject == subject && claims.Issuer == subject+".SHA256:"+base64.StdEncoding.EncodeToString(sum[:])
}

// tokenRequest renews a session.
func (s *Server) tokenRequest(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	l := s.masters[tokenOf(r)]
	s.mu.Unlock()
	if l == nil {
		reply(w, answer{Code: "390114", Message: "Authentication token has expired.  The user must authenticate again."})
		return
	}
	renewed := s.id("session")
	s.mu.Lock()
	delete(s.sessions, l.token)
	l.token, l.expired = renewed, false
	s.sessions[renewed] = l
	s.mu.Unlock()
	reply(w, answer{Success: true, Data: map[string]any{"sessionToken": renewed, "masterToken": l.master, "sessionId": 1, "validityInSecondsST": 3600}})
}

// sessionRequest ends a session.
func (s *Server) sessionRequest(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if l := s.sessions[tokenOf(r)]; l != nil {
		delete(s.sessions, l.token)
		delete(s.masters, l.master)
	}
	s.mu.Unlock()
	reply(w, answer{Success: true})
}

// authorised answers itself where the session is not good.
func (s *Server) authorised(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	l := s.sessions[tokenOf(r)]
	expired := l != nil && l.expired
	s.mu.Unlock()
	switch {
	case l == nil:
		reply(w, answer{Code: "390111", Message: "Session no longer exists.  New login required to access the service."})
	case expired:
		reply(w, answer{Code: "390112", Message: "Your session has expired. Please login again."})
	default:
		return true
	}
	return false
}

func tokenOf(r *http.Request) string {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), `Snowflake Token="`)
	return strings.TrimSuffix(token, `"`)
}

// answer is the envelope of everything that the server says.
type answer struct {
	Data    any    `json:"data"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Success bool   `json:"success"`
}

func reply(w http.ResponseWriter, a answer) {
	if a.Data == nil {
		a.Data = map[string]any{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a) // a client that has gone needs no answer
}
