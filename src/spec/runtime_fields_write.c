/* SPDX-License-Identifier: Apache-2.0 */
/* Rows the other way: into JSON, and back to the heap. Reading is in runtime_fields.c. */
#include "spec/runtime_fields.h"

/* Writing */

static size_t count_of(const struct field *f, const void *base)
{
	return *(const size_t *) ((const char *) base + f->n_off);
}

static bool field_present(const struct field *f, const void *base)
{
	const void *p = (const char *) base + f->off;
	if (f->flag)
		return *(const bool *) ((const char *) base + f->flag - 1);
	if (f->always)
		return true;
	switch (f->kind) {
	case FIELD_STR:
	case FIELD_STRV:
	case FIELD_RAW:
		return *(void *const *) p != NULL;
	case FIELD_BOOL:
		return *(const bool *) p;
	case FIELD_CHAR:
		return *(const char *) p != '\0';
	case FIELD_U16:
		return *(const uint16_t *) p != 0;
	case FIELD_U32:
		return *(const uint32_t *) p != 0;
	case FIELD_U64:
	case FIELD_I64:
	case FIELD_CAPS:
		return *(const uint64_t *) p != 0;
	case FIELD_INT:
		return *(const int *) p != 0;
	case FIELD_U32V:
	case FIELD_STRMAP:
	case FIELD_LIST:
	case FIELD_MAP:
		return count_of(f, base) > 0;
	case FIELD_OBJ:
		return spec_fields_any(f->sub, p);
	case FIELD_OTHER:
		return true;
	}
	return true;
}

bool spec_fields_any(const struct field_table *t, const void *base)
{
	for (size_t i = 0; i < t->n; i++)
		if (field_present(&t->v[i], base))
			return true;
	return false;
}

static void write_counted(const struct field *f, struct json_writer *w, const void *base)
{
	const char *v = *(const char *const *) ((const char *) base + f->off);
	size_t n = count_of(f, base);
	if (f->kind == FIELD_LIST || f->kind == FIELD_U32V)
		jw_arr(w, f->key);
	else
		jw_obj(w, f->key);
	for (size_t i = 0; i < n; i++) {
		const char *e = v + i * f->size;
		switch (f->kind) {
		case FIELD_U32V:
			jw_uint(w, NULL, ((const uint32_t *) v)[i]);
			break;
		case FIELD_STRMAP:
			jw_str(w, ((const struct keyval *) v)[i].key, ((const struct keyval *) v)[i].value);
			break;
		default:
			jw_obj(w, f->kind == FIELD_MAP ? *(char *const *) (e + f->key_off) : NULL);
			spec_fields_write(f->sub, w, e);
			jw_end(w);
		}
	}
	jw_end(w);
}

static void write_caps(struct json_writer *w, const char *key, uint64_t mask)
{
	jw_arr(w, key);
	for (int cap = 0; cap <= CAP_LAST_KNOWN; cap++)
		if (mask & (UINT64_C(1) << cap))
			jw_str(w, NULL, cap_name(cap));
	jw_end(w);
}

static void field_write(const struct field *f, struct json_writer *w, const void *base)
{
	const void *p = (const char *) base + f->off;
	switch (f->kind) {
	case FIELD_STR:
		jw_str(w, f->key, *(char *const *) p);
		break;
	case FIELD_STRV:
		jw_strv(w, f->key, *(char **const *) p);
		break;
	case FIELD_BOOL:
		jw_bool(w, f->key, *(const bool *) p);
		break;
	case FIELD_CHAR:
		jw_strn(w, f->key, p, 1);
		break;
	case FIELD_U16:
		jw_uint(w, f->key, *(const uint16_t *) p);
		break;
	case FIELD_U32:
		jw_uint(w, f->key, *(const uint32_t *) p);
		break;
	case FIELD_U64:
		jw_uint(w, f->key, *(const uint64_t *) p);
		break;
	case FIELD_I64:
		jw_int(w, f->key, *(const int64_t *) p);
		break;
	case FIELD_INT:
		jw_int(w, f->key, *(const int *) p);
		break;
	case FIELD_CAPS:
		write_caps(w, f->key, *(const uint64_t *) p);
		break;
	case FIELD_RAW:
		jw_raw(w, f->key, *(char *const *) p);
		break;
	case FIELD_OBJ:
		jw_obj(w, f->key);
		spec_fields_write(f->sub, w, p);
		jw_end(w);
		break;
	case FIELD_U32V:
	case FIELD_STRMAP:
	case FIELD_LIST:
	case FIELD_MAP:
		write_counted(f, w, base);
		break;
	case FIELD_OTHER:
		f->write(w, f->key, base);
		break;
	}
}

void spec_fields_write(const struct field_table *t, struct json_writer *w, const void *base)
{
	for (size_t i = 0; i < t->n; i++)
		if (field_present(&t->v[i], base))
			field_write(&t->v[i], w, base);
}

/* Freeing */

static void free_counted(const struct field *f, void *base)
{
	char *v = *(char **) ((char *) base + f->off);
	for (size_t i = 0; i < count_of(f, base); i++) {
		if (f->kind == FIELD_STRMAP) {
			free(((struct keyval *) v)[i].key);
			free(((struct keyval *) v)[i].value);
		} else if (f->kind != FIELD_U32V) {
			spec_fields_done(f->sub, v + i * f->size);
			if (f->kind == FIELD_MAP)
				free(*(char **) (v + i * f->size + f->key_off));
		}
	}
	free(v);
	*(void **) ((char *) base + f->off) = NULL;
	*(size_t *) ((char *) base + f->n_off) = 0;
}

void spec_fields_done(const struct field_table *t, void *base)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->v[i];
		void *p = (char *) base + f->off;
		switch (f->kind) {
		case FIELD_STR:
		case FIELD_RAW:
			free(*(char **) p);
			*(char **) p = NULL;
			break;
		case FIELD_STRV:
			strv_freep(p);
			*(char ***) p = NULL;
			break;
		case FIELD_OBJ:
			spec_fields_done(f->sub, p);
			break;
		case FIELD_U32V:
		case FIELD_STRMAP:
		case FIELD_LIST:
		case FIELD_MAP:
			free_counted(f, base);
			break;
		default:
			break;
		}
	}
}
