/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From files and values to a picture, what counts of it, and a box. */
#include "engine/job/picture_parameters.h"

#include <glib/gi18n.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/png.h"

#define MAX_COORDINATE 10000000 /* more than any picture has */

const char *const w2w_picture_crops[] = {"auto", "whole", "selection", "box", NULL};
const char *const w2w_picture_crop_labels[] = {N_("Automatic"), N_("The whole picture"),
                                               N_("What is selected"), N_("The box"), NULL};

/* "10,20,300,300", with spaces where one likes. */
static gboolean parse_box(const char *text, W2wBox *box, GError **error)
{
    gint numbers[4];
    const char *at = text;

    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
        char *end = NULL;
        const gint64 number = g_ascii_strtoll(at, &end, 10);

        while (end != at && g_ascii_isspace(*end))
            end++;
        if (end == at || number > MAX_COORDINATE || number < -MAX_COORDINATE ||
            *end != (i + 1 < G_N_ELEMENTS(numbers) ? ',' : 0)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "The value of box must be x,y,width,height in pixels, such as "
                        "40,20,256,256, not “%s”.",
                        text);
            return FALSE;
        }
        numbers[i] = (gint)number;
        at = end + 1;
    }
    *box = (W2wBox){numbers[0], numbers[1], numbers[2], numbers[3]};
    return TRUE;
}

static gboolean read_picture(GBytes *bytes, const char *name, W2wPicture **picture,
                             char **fingerprint, GError **error)
{
    *picture = w2w_png_read_deep_bytes(bytes, name, error);
    if (*picture == NULL)
        return FALSE;
    *fingerprint = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
    return TRUE;
}

static gboolean read_mask(W2wPictureInput *input, GBytes *bytes, GError **error)
{
    g_autoptr(W2wPicture) picture = NULL;

    if (bytes != NULL) {
        if (!read_picture(bytes, "The mask", &picture, &input->mask_fingerprint, error))
            return FALSE;
        input->given_mask = w2w_mask_from_picture(picture, error);
        if (input->given_mask == NULL)
            return FALSE;
    }
    return w2w_mask_of_picture(input->picture, input->given_mask, &input->mask, error);
}

static gboolean choose_box(W2wPictureInput *input, const W2wValues *values, guint width,
                           guint height, GError **error)
{
    const char *text = w2w_values_get_string(values, "box");
    const guint choice = w2w_values_get_choice(values, "crop");
    W2wBox given;

    if (*text != 0 && !parse_box(text, &given, error))
        return FALSE;
    if (choice > 0)
        input->policy = choice - 1;
    else if (*text != 0)
        input->policy = W2W_CROP_BOX;
    else
        input->policy = input->given_mask != NULL ? W2W_CROP_SELECTION : W2W_CROP_WHOLE;
    if (*text != 0 && input->policy != W2W_CROP_BOX) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A box was given, but the crop is “%s”: choose the crop “box”, or leave the "
                    "box out.",
                    w2w_crop_policy_names[input->policy]);
        return FALSE;
    }
    return w2w_crop_choose(input->policy, input->picture->width, input->picture->height,
                           input->mask != NULL ? input->mask : input->given_mask,
                           *text != 0 ? &given : NULL, width, height, &input->box, error);
}

gboolean w2w_picture_input_init(W2wPictureInput *input, const W2wValues *values, guint width,
                                guint height, GError **error)
{
    GBytes *bytes = w2w_values_get_bytes(values, W2W_JOB_IMAGE);

    memset(input, 0, sizeof *input);
    if (bytes == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The parameter %s is missing.",
                    W2W_JOB_IMAGE);
        return FALSE;
    }
    if (read_picture(bytes, "The image", &input->picture, &input->fingerprint, error) &&
        read_mask(input, w2w_values_get_bytes(values, W2W_JOB_MASK), error) &&
        choose_box(input, values, width, height, error))
        return TRUE;
    w2w_picture_input_clear(input);
    return FALSE;
}

gboolean w2w_picture_input_init_whole(W2wPictureInput *input, GBytes *bytes, const char *name,
                                      guint width, guint height, GError **error)
{
    memset(input, 0, sizeof *input);
    input->policy = W2W_CROP_WHOLE;
    if (read_picture(bytes, name, &input->picture, &input->fingerprint, error) &&
        w2w_mask_of_picture(input->picture, NULL, &input->mask, error) &&
        w2w_crop_choose(input->policy, input->picture->width, input->picture->height, NULL, NULL,
                        width, height, &input->box, error))
        return TRUE;
    w2w_picture_input_clear(input);
    return FALSE;
}

void w2w_picture_input_clear(W2wPictureInput *input)
{
    g_clear_pointer(&input->picture, w2w_picture_free);
    g_clear_pointer(&input->given_mask, w2w_mask_free);
    g_clear_pointer(&input->mask, w2w_mask_free);
    g_clear_pointer(&input->fingerprint, g_free);
    g_clear_pointer(&input->mask_fingerprint, g_free);
}

JsonArray *w2w_box_to_json(const W2wBox *box)
{
    JsonArray *array = json_array_new();

    json_array_add_int_element(array, box->x);
    json_array_add_int_element(array, box->y);
    json_array_add_int_element(array, box->width);
    json_array_add_int_element(array, box->height);
    return array;
}

static void describe_file(JsonObject *recipe, const char *name, const char *fingerprint)
{
    JsonObject *file = json_object_new();

    json_object_set_string_member(file, "sha256", fingerprint);
    json_object_set_object_member(recipe, name, file);
}

void w2w_picture_input_describe(const W2wPictureInput *input, JsonObject *recipe)
{
    g_autofree char *box = g_strdup_printf("%d,%d,%d,%d", input->box.x, input->box.y,
                                           input->box.width, input->box.height);

    describe_file(recipe, W2W_JOB_IMAGE, input->fingerprint);
    if (input->mask_fingerprint != NULL)
        describe_file(recipe, W2W_JOB_MASK, input->mask_fingerprint);
    json_object_set_string_member(recipe, "crop", w2w_crop_policy_names[input->policy]);
    json_object_set_string_member(recipe, "box", box);
}
